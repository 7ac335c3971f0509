"""The progress of one partition's loop, read by health checks and metrics."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Progress:
    """``taken_at`` and ``progressed_at`` are monotonic: when the present batch was taken, and when a batch was last
    taken or a call within it ended. ``oldest_seconds`` is the Unix time of the oldest record in the present batch."""

    taken_at: float | None = None
    oldest_seconds: float | None = None
    batches: int = 0
    next_offset: int | None = None
    progressed_at: float = 0.0

    def report(self) -> None:
        """Note that the batch progresses."""
        self.progressed_at = time.monotonic()


#: The progress of the batch being processed; tasks started by its stage inherit it.
current: Final[ContextVar[Progress]] = ContextVar("progress")


def report_progress() -> None:
    """Note that the present batch progresses: a provider call ended, successfully or not, or a delay is waited for."""
    progress = current.get(None)
    if progress is not None:
        progress.report()
