"""How far an action has come. Its own thread writes it, pages read it, and anyone who may do it may stop it."""

from __future__ import annotations

import threading
from typing import Literal

RunState = Literal["checking", "running", "done", "refused", "failed", "stopped"]


class ActionStoppedError(BaseException):
    """Somebody stopped the action. No `Exception`: the record of the action then says interrupted, and not failed."""


class ActionRun:
    """One action that was confirmed. ``outcome`` is one sentence once it has ended, ``result`` what else is known."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.published = 0
        self.state: RunState = "checking"
        self.outcome = ""
        self.result: dict[str, str] = {}
        self._stop = threading.Event()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens."""
        return self.state not in ("checking", "running")

    @property
    def is_stopping(self) -> bool:
        """Whether it was stopped, and goes on until its next record."""
        return self._stop.is_set() and not self.has_ended

    def stop(self) -> None:
        """Let it end after the record that it sends now."""
        self._stop.set()

    def begin(self) -> None:
        """Tell that the first effect comes now.

        Raises:
            ActionStoppedError: it was stopped before.
        """
        self._raise_if_stopped()
        self.state = "running"

    def advance(self) -> None:
        """Count one record.

        Raises:
            ActionStoppedError: it was stopped, and more was to come.
        """
        self.published += 1
        if self.published < self.planned:
            self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise ActionStoppedError
