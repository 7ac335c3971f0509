"""How often somebody may fail to sign in: some times at once, then now and then, by the address they come from."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from paynotify.ingest.limits import AddressLimits

_BURST: Final = 10
_RATE_PER_SECOND: Final = 0.1


class FailureLimit:
    """Counts failures in memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._limits = AddressLimits(_RATE_PER_SECOND, _BURST)

    def wait_seconds(self, address: str) -> float:
        """How long the address has to wait before it may try again; 0 if it may now."""
        return self._limits.wait_seconds(address, self._now())

    def failed(self, address: str) -> None:
        """Count one failure."""
        self._limits.take(address, self._now())
