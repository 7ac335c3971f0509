"""The timer service of the orders stage."""

from __future__ import annotations

from collections.abc import Mapping

from processors.limits.hourly_quota import HourlyQuota
from processors.metrics import Metrics
from processors.runtime.timers import TimerService


class OrderTimers(TimerService):
    """Publishes due timers of orders, and forgets the silence of providers whose partition was revoked."""

    def __init__(
        self, topic: str, lanes: Mapping[str, HourlyQuota | None], metrics: Metrics, *, settles: Mapping[str, float]
    ) -> None:
        super().__init__(topic, lanes, lambda entry: entry.name, settles=settles)
        self._silent = metrics.silent

    def lost(self, partition: int) -> None:
        # silence is known to the partition's next owner alone; for partitions still owned, the next order sets it again
        self._silent.clear()
