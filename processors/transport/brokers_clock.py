"""The brokers' clock as this process knows it: between two bounds, from the records that the brokers stamped.

All workers share the brokers' clock, while their own differ and may be set. A broker stamps a record after it was
handed over and before it is acknowledged, so each stamp bounds how far the brokers' clock is ahead of this process's.
The closest bounds of the last minute count: a response that waits long before it is stored makes them no wider.

This process's time is that since the machine started, also while it slept: nobody can set it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

#: Bounds are forgotten after one to two periods of further stamps, as brokers' clocks are corrected at times.
_PERIOD_SECONDS: Final = 30.0
#: Without stamps they are known for so long: two clocks that nobody corrects drift apart by a third of a second.
_KNOWN_SECONDS: Final = 3600.0
#: Two brokers' clocks differ by less than this; bounds that contradict each other by more are those of a clock that
#: was set.
_SET_SECONDS: Final = 2.0
#: Stamps are cut off to this.
_STAMP_SECONDS: Final = 0.001


def seconds_since_boot() -> float:
    """The time since the machine started, with that for which it slept, if the platform has such a clock."""
    return time.clock_gettime(_CLOCK)


class Span(NamedTuple):
    """A span of the brokers' time: what is asked for began no earlier, and ended no later."""

    begins: datetime
    ends: datetime


@dataclass(slots=True)
class _Bounds:
    """How many seconds the brokers' clock is ahead, at least and at most."""

    since: float = -math.inf
    least: float = -math.inf
    most: float = math.inf

    def narrow(self, least: float, most: float) -> None:
        self.least, self.most = max(self.least, least), min(self.most, most)


class BrokersClock:
    """One for each process. ``elapsed`` are the seconds since the machine started."""

    def __init__(self, elapsed: Callable[[], float] = seconds_since_boot) -> None:
        self.elapsed = elapsed
        self._before = _Bounds()
        self._now = _Bounds()
        self._stamped_at = -math.inf

    def stamped(self, sent_at: float, acknowledged_at: float, stamps_seconds: Iterable[float]) -> None:
        """The brokers stamped records that were handed over and acknowledged at these times (`elapsed`)."""
        for stamp_seconds in stamps_seconds:
            self._stamped(stamp_seconds - acknowledged_at, stamp_seconds + _STAMP_SECONDS - sent_at, acknowledged_at)

    def _stamped(self, least: float, most: float, at: float) -> None:
        age_seconds = at - self._now.since
        if age_seconds > _PERIOD_SECONDS:
            self._before = self._now if age_seconds < 2 * _PERIOD_SECONDS else _Bounds()
            self._now = _Bounds(at)
        known = self._known()
        if least - known.most > _SET_SECONDS or known.least - most > _SET_SECONDS:
            self._before, self._now = _Bounds(), _Bounds(at)
        self._now.narrow(least, most)
        self._stamped_at = at

    def _known(self) -> _Bounds:
        known = _Bounds(least=self._before.least, most=self._before.most)
        known.narrow(self._now.least, self._now.most)
        return known

    def span(self, began_at: float, ended_at: float) -> Span | None:
        """When that was by the brokers' clock; None as long as it is not known."""
        if ended_at - self._stamped_at > _KNOWN_SECONDS:
            return None
        known = self._known()
        # of two brokers whose clocks differ by more than a record's way, the bounds are the other way round
        least, most = sorted((known.least, known.most))
        return Span(_moment(began_at + least), _moment(ended_at + most))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
