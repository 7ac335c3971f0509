"""Calls that wait for a payment's next event. The follower tells of it once the index has it; nobody polls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from paynotify.schemas import topics
from paynotify.schemas.records import Record

#: Fewer than the connections of the console: its pages must be reachable while they wait.
MAX_WAITING: Final = 100
MAX_WAITING_OF_CALLER: Final = 20


class TooManyWaitingError(Exception):
    """As many calls wait as may."""


class EventWaiters:
    """Belongs to one event loop; only `told` may be called by another thread."""

    def __init__(self, limit: int = MAX_WAITING, limit_of_caller: int = MAX_WAITING_OF_CALLER) -> None:
        self._limit = limit
        self._limit_of_caller = limit_of_caller
        self._woken: dict[bytes, set[asyncio.Event]] = {}
        self._by_caller: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    @contextmanager
    def waiting(self, caller: str, key: bytes) -> Iterator[asyncio.Event]:
        """An event that is set whenever the index has a newer event of the payment with this key.

        The caller looks into the index after it entered: what came before is there, what comes later wakes it.

        Raises:
            TooManyWaitingError: as many calls wait as may, of this caller's or together.
        """
        if self._by_caller.total() >= self._limit or self._by_caller[caller] >= self._limit_of_caller:
            raise TooManyWaitingError
        self._loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        self._by_caller[caller] += 1
        self._woken.setdefault(key, set()).add(woken)
        try:
            yield woken
        finally:
            self._by_caller -= Counter((caller,))
            self._woken[key].discard(woken)
            if not self._woken[key]:
                del self._woken[key]

    def told(self, topic: str, records: Sequence[Record]) -> None:
        """The index has these records of the topic now. For the follower's thread."""
        loop = self._loop
        if topic == topics.LATEST and loop is not None and self._woken:
            loop.call_soon_threadsafe(self._wake, {one.key for one in records})

    def close(self) -> None:
        """Let all that wait answer now: the process stops."""
        self.closed = True
        self._wake(set(self._woken))

    def _wake(self, keys: set[bytes | None]) -> None:
        for key in self._woken.keys() & keys:
            for woken in self._woken[key]:
                woken.set()
