"""A shared pace of calls per merchant: the provider's limit counts all of a merchant's calls together.

The provider counts calls when they arrive, which is at some time between their start and their end. So a place is free
again only when a call has *ended* for as long as the limit's window: then no window can hold more arrivals than there
are places, however long the way to the provider takes. Only one process is counted here. While a merchant's partition
changes hands two may call for some seconds; the provider refuses what is too much, and it is asked again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic


class CallPacer:
    """At most ``per_second`` calls of a merchant in any second; further callers wait for their turn, in order.

    Less than one a second is one call in so many seconds. What is not whole is rounded to fewer calls in a shorter
    window: 2.5 are two calls in 0.8 s.
    """

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._places = max(1, int(per_second))
        self._window_seconds = self._places / per_second
        self._now = now
        self._sleep = sleep
        self._merchants: dict[str, _Places] = {}  # as many entries as there are merchants in the configuration

    @asynccontextmanager
    async def __call__(self, merchant: str) -> AsyncIterator[None]:
        """Begins when the merchant's next call may go out, and lasts until the call has ended, however it did."""
        places = self._merchants.get(merchant)
        if places is None:
            places = self._merchants[merchant] = _Places(self._places)
        async with places.free:
            free_at = places.free_at.popleft()
            try:
                while (wait_seconds := free_at - self._now()) > 0:  # a timer may wake a little early
                    await self._sleep(wait_seconds)
                yield
            finally:
                places.free_at.append(self._now() + self._window_seconds)


class _Places:
    """``free`` counts the places without a call; ``free_at`` says from when on each may be used, oldest first."""

    def __init__(self, count: int) -> None:
        self.free = asyncio.Semaphore(count)
        self.free_at = deque([float("-inf")] * count)
