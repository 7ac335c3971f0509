"""The limit on dead letters of a partition: a defect of the stage must not move a whole topic to the dead letters.

Only records that raised an unexpected exception count. A few of them are defects that one record triggers. Many of
them, in a row or among the last records, are a defect of the stage or its environment, such as a bad deployment. Then
the partition halts instead.

Two kinds of dead letters do not count, because whoever writes the records could halt the partition with them: a record
that cannot be parsed (`InvalidInputError`), and a notification that verify rejects, whatever its parser raised. Anybody
may send notifications; they stay replayable on the topic of rejected ones.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import Final

from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.schemas.errors import InvalidInputError
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output

_COUNTED: Final[DeadReason] = "internal_error"


class DeadLetterWindow:
    """Counts the dead letters among a partition's last records. In memory: a restart begins an empty window."""

    def __init__(self, limit: DeadLetterLimit) -> None:
        self._limit = limit
        self._processed = 0
        self._consecutive = 0
        #: The positions of the window's dead letters among all processed records.
        self._positions: deque[int] = deque()

    def copy(self) -> DeadLetterWindow:
        """An independent copy, for a batch that may have to be repeated."""
        other = copy(self)
        other._positions = self._positions.copy()
        return other

    def succeeded(self, records: int = 1) -> None:
        """Count records that were processed without an unexpected exception."""
        self._processed += records
        self._consecutive = 0
        self._forget_old()

    def dead_lettered(self, letter: Output, error: Exception) -> None:
        """Count a record that was dead-lettered for this error, as failed or as processed."""
        if isinstance(error, InvalidInputError) or ("reason", _COUNTED.encode()) not in letter.headers:
            self.succeeded()
            return
        self._processed += 1
        self._consecutive += 1
        self._positions.append(self._processed)
        self._forget_old()

    def reached(self, error: Exception) -> str | None:
        """Why a record that raised this error may not be dead-lettered any more; None if it may."""
        if isinstance(error, InvalidInputError):
            return None
        if self._consecutive >= self._limit.consecutive_records:
            return f"the last {self._consecutive} records in a row raised an unexpected exception"
        if len(self._positions) >= self._limit.share * self._limit.window_records:
            failed, window = len(self._positions), self._limit.window_records
            return f"{failed} of the last {window} records raised an unexpected exception"
        return None

    def _forget_old(self) -> None:
        while self._positions and self._positions[0] <= self._processed - self._limit.window_records:
            self._positions.popleft()
