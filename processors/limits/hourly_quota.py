"""A quota of calls per hour for each merchant: a token bucket in memory."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from paynotify.service.token_bucket import refill, take

_HOUR_SECONDS: Final = 3600.0


class HourlyQuota:
    """``per_hour`` calls for each merchant, of which an idle one accumulates up to ``burst`` (by default one hour's).

    ``now`` returns seconds. Each process counts its own calls only, and begins with a full burst.
    """

    def __init__(self, per_hour: int, now: Callable[[], float] = monotonic, *, burst: float | None = None) -> None:
        self._rate_per_second = per_hour / _HOUR_SECONDS
        self._burst = float(per_hour) if burst is None else burst
        self._now = now
        #: Tokens and when they were counted. As many entries as there are merchants in the configuration.
        self._buckets: dict[str, tuple[float, float]] = {}

    def __call__(self, merchant: str) -> float:
        """Take one call and return 0.0; or take none and return in how many seconds there will be one."""
        now = self._now()
        tokens, at_seconds = self._buckets.get(merchant, (self._burst, now))
        is_taken, tokens, at_seconds = take(tokens, at_seconds, now, self._rate_per_second, self._burst)
        self._buckets[merchant] = tokens, at_seconds
        return 0.0 if is_taken else (1 - tokens) / self._rate_per_second

    def available(self, merchant: str) -> int:
        """How many calls may be taken now."""
        now = self._now()
        tokens, at_seconds = self._buckets.get(merchant, (self._burst, now))
        return int(refill(tokens, at_seconds, now, self._rate_per_second, self._burst))
