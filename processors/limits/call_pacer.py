"""A rate limit on calls to a provider, shared by all calls of a merchant: a sliding window held around each call.

A token bucket would not do here. The provider counts calls when they arrive, which is at some time between their start
and their end. So a slot is free again only when a call has *ended* for as long as the limit's window: then no window
can hold more arrivals than there are slots, however long the way to the provider takes. Only one process is counted.
While a merchant's partition changes its owner two may call for some seconds; the provider then refuses what is too
much, and the call is retried.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic


class CallPacer:
    """At most ``per_second`` calls of a merchant in any second; further callers wait for their turn, in order.

    Less than one a second is one call in so many seconds. A fraction is rounded to fewer calls in a shorter window:
    2.5 are two calls in 0.8 s.
    """

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._slots = max(1, int(per_second))
        self._window_seconds = self._slots / per_second
        self._now = now
        self._sleep = sleep
        self._merchants: dict[str, _CallSlots] = {}  # as many entries as there are merchants in the configuration

    @asynccontextmanager
    async def __call__(self, merchant: str) -> AsyncIterator[None]:
        """Enter when the merchant's next call may go out, and exit when the call has ended, however it did."""
        slots = self._merchants.get(merchant)
        if slots is None:
            slots = self._merchants[merchant] = _CallSlots(self._slots)
        async with slots.free:
            free_at = slots.free_at.popleft()
            try:
                while (wait_seconds := free_at - self._now()) > 0:  # a timer may fire a little early
                    await self._sleep(wait_seconds)
                yield
            finally:
                slots.free_at.append(self._now() + self._window_seconds)


class _CallSlots:
    """``free`` counts the slots without a call; ``free_at`` is from when on each may be used, oldest first."""

    def __init__(self, count: int) -> None:
        self.free = asyncio.Semaphore(count)
        self.free_at = deque([float("-inf")] * count)
