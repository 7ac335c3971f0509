"""How far one partition's loop is, read by health and metrics; and a stage's word that it only waits."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Progress:
    """``moved_at`` (monotonic) is when a batch last began, or a call within it ended."""

    taken_at: float | None = None
    oldest_seconds: float | None = None
    batches: int = 0
    next_offset: int | None = None
    moved_at: float = 0.0

    def moved(self) -> None:
        self.moved_at = time.monotonic()


#: That of the batch at work; the tasks a stage starts for it have it too.
current: Final[ContextVar[Progress]] = ContextVar("progress")


def moved() -> None:
    """Tell that the batch at work goes on: a provider's call has ended, however it did, or a time is waited for."""
    progress = current.get(None)
    if progress is not None:
        progress.moved()
