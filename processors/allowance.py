"""How often something rare may be done for each merchant: saved up over time, up to an hour's worth."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

_HOUR_SECONDS: Final = 3600.0


class Allowance:
    """At most ``per_hour`` in any hour after a quiet one, for each merchant."""

    def __init__(self, per_hour: int, now: Callable[[], float] = monotonic) -> None:
        self._per_hour = per_hour
        self._now = now
        self._saved: dict[str, tuple[float, float]] = {}  # as many entries as there are merchants in the configuration

    def __call__(self, merchant: str) -> float:
        """Spend one and return 0.0; or spend nothing and return in how many seconds there is one."""
        now = self._now()
        saved, at = self._saved.get(merchant, (float(self._per_hour), now))
        saved = min(float(self._per_hour), saved + (now - at) * self._per_hour / _HOUR_SECONDS)
        if saved < 1:
            self._saved[merchant] = (saved, now)
            return (1 - saved) * _HOUR_SECONDS / self._per_hour
        self._saved[merchant] = (saved - 1, now)
        return 0.0
