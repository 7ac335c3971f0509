"""How often something rare may be done for each merchant: saved up over time, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

_HOUR_SECONDS: Final = 3600.0


class Allowance:
    """``per_hour`` for each merchant, of which a quiet one saves up to ``most`` (an hour's worth, if not said)."""

    def __init__(self, per_hour: int, now: Callable[[], float] = monotonic, *, most: float | None = None) -> None:
        self._per_hour = per_hour
        self._most = float(per_hour) if most is None else most
        self._now = now
        self._saved: dict[str, tuple[float, float]] = {}  # as many entries as there are merchants in the configuration

    def __call__(self, merchant: str) -> float:
        """Spend one and return 0.0; or spend nothing and return in how many seconds there is one."""
        now = self._now()
        saved, at = self._saved.get(merchant, (self._most, now))
        saved = min(self._most, saved + (now - at) * self._per_hour / _HOUR_SECONDS)
        if saved < 1:
            self._saved[merchant] = (saved, now)
            return (1 - saved) * _HOUR_SECONDS / self._per_hour
        self._saved[merchant] = (saved - 1, now)
        return 0.0
