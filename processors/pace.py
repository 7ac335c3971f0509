"""A shared pace of calls per merchant: the provider's limit counts all of a merchant's calls together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


class Pace:
    """At most ``per_second`` calls a second for each merchant; further callers wait for their turn, in order."""

    def __init__(
        self,
        per_second: float,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval_seconds = 1.0 / per_second
        self._now = now
        self._sleep = sleep
        self._next: dict[str, float] = {}  # as many entries as there are merchants in the configuration

    async def __call__(self, merchant: str) -> None:
        """Return when the merchant's next call may go out."""
        now = self._now()
        turn = max(now, self._next.get(merchant, now))
        self._next[merchant] = turn + self._interval_seconds
        if turn > now:
            await self._sleep(turn - now)
