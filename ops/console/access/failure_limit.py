"""How often somebody may fail to sign in: some times at once, then now and then, by the address they come from."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from paynotify.ingest.limits import caller_of
from paynotify.service.token_bucket import refill, take

_BURST: Final = 10.0
_RATE_PER_SECOND: Final = 0.1
#: Addresses that are remembered; the one that has not failed for longest is forgotten first.
_MAX_ADDRESSES: Final = 10_000


class FailureLimit:
    """Counts failures in memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """How long the address has to wait before it may try again; 0 if it may now."""
        tokens, at = self._buckets.get(caller_of(address), (_BURST, 0.0))
        held = refill(tokens, at, self._now(), _RATE_PER_SECOND, _BURST)
        return 0.0 if held >= 1.0 else (1.0 - held) / _RATE_PER_SECOND

    def failed(self, address: str) -> None:
        """Count one failure."""
        caller = caller_of(address)
        tokens, at = self._buckets.pop(caller, (_BURST, 0.0))
        _, left, as_of = take(tokens, at, self._now(), _RATE_PER_SECOND, _BURST)
        self._buckets[caller] = (left, as_of)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
