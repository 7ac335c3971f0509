"""How often something rare may be done for each merchant: saved up over time, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

_HOUR_SECONDS: Final = 3600.0


class HourlyQuota:
    """``per_hour`` for each merchant, of which a quiet one saves up to ``most`` (an hour's worth, if not said)."""

    def __init__(self, per_hour: int, now: Callable[[], float] = monotonic, *, most: float | None = None) -> None:
        self._per_hour = per_hour
        self._most = float(per_hour) if most is None else most
        self._now = now
        self._saved: dict[str, tuple[float, float]] = {}  # as many entries as there are merchants in the configuration

    def __call__(self, merchant: str) -> float:
        """Spend one and return 0.0; or spend nothing and return in how many seconds there is one."""
        saved, now = self._now_saved(merchant)
        if saved < 1:
            self._saved[merchant] = (saved, now)
            return (1 - saved) * _HOUR_SECONDS / self._per_hour
        self._saved[merchant] = (saved - 1, now)
        return 0.0

    def saved(self, merchant: str) -> int:
        """How many may be spent now."""
        return int(self._now_saved(merchant)[0])

    def _now_saved(self, merchant: str) -> tuple[float, float]:
        now = self._now()
        saved, at = self._saved.get(merchant, (self._most, now))
        return min(self._most, saved + (now - at) * self._per_hour / _HOUR_SECONDS), now
