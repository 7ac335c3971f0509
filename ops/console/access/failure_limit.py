"""How often somebody may fail to sign in: some times at once, then now and then, by the address they come from."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from paynotify.service.token_bucket import refill, take

_BURST: Final = 10.0
_RATE_PER_SECOND: Final = 0.1
#: Addresses that are remembered; the one that has not failed for longest is forgotten first.
_MAX_ADDRESSES: Final = 10_000
#: What one household or machine gets: without this, each of its addresses would have failures of its own.
_IPV6_PREFIX: Final = 64


class FailureLimit:
    """Counts failures in memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """How long the address has to wait before it may try again; 0 if it may now."""
        tokens, at = self._buckets.get(_network(address), (_BURST, 0.0))
        held = refill(tokens, at, self._now(), _RATE_PER_SECOND, _BURST)
        return 0.0 if held >= 1.0 else (1.0 - held) / _RATE_PER_SECOND

    def failed(self, address: str) -> None:
        """Count one failure."""
        network = _network(address)
        tokens, at = self._buckets.pop(network, (_BURST, 0.0))
        _, left, as_of = take(tokens, at, self._now(), _RATE_PER_SECOND, _BURST)
        self._buckets[network] = (left, as_of)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
