"""The gateway's calendar: a date that tests move on night by night, or that runs faster than the real one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_DAY: Final = timedelta(days=1)


class GatewayClock:
    """The gateway's time, GMT, and the nights that have passed but that the batch has not settled yet."""

    def __init__(
        self, day_seconds: float | None, first_day_at: float | None, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._day_seconds = day_seconds
        self._first_day_at = now() if first_day_at is None else first_day_at
        self._nights = 0
        self._settled = self.today

    @property
    def today(self) -> date:
        """The gateway's date."""
        return self._time().date()

    def text(self) -> str:
        """The gateway's time as its records have it."""
        return self._time().strftime(_FORMAT)

    def nights_over(self) -> list[date]:
        """The dates whose nights have passed since the last call, the oldest first."""
        first, self._settled = self._settled, max(self._settled, self.today)
        return [first + _DAY * number for number in range((self._settled - first).days)]

    def next_day(self) -> None:
        """Let a night pass at once."""
        self._nights += 1

    def _time(self) -> datetime:
        real = self._now()
        if self._day_seconds is None:
            return datetime.fromtimestamp(real, UTC) + _DAY * self._nights
        first = datetime.fromtimestamp(self._first_day_at, UTC)
        days = (real - self._first_day_at) / self._day_seconds + self._nights
        return datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=days)


def real_time() -> str:
    """The real time as the gateway writes it: when it answered a query."""
    return datetime.now(UTC).strftime(_FORMAT)
