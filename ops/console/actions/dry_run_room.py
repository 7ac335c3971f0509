"""Room for the dry runs that are being made: few at the same time, and one of each person."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from paynotify.ops.console.actions.planned import ActionRefusedError

#: Each reads topics with connections of its own.
MAX_DRY_RUNS: Final = 2


class DryRunRoom:
    """Used by any thread. One of a long time takes minutes: one person must not have all the room for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[str] = set()

    @contextmanager
    def taken(self, name: str) -> Iterator[None]:
        """Room for the person's dry run.

        Raises:
            ActionRefusedError: there is none, or the person makes another one.
        """
        person = name.casefold()
        with self._lock:
            if person in self._names:
                raise ActionRefusedError("A dry run of yours is being made. Send the form again once it has ended.")
            if len(self._names) >= MAX_DRY_RUNS:
                raise ActionRefusedError(f"{MAX_DRY_RUNS} dry runs are being made at this moment. Send the form again.")
            self._names.add(person)
        try:
            yield
        finally:
            with self._lock:
                self._names.discard(person)
