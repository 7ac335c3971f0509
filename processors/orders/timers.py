"""The timer service of the orders stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.timers import TimerService
from paynotify.schemas.configuration.events import DEFAULT_EVENTS, EventSettings
from paynotify.schemas.times import utc_now


class OrderTimers(TimerService):
    """Publishes due timers of orders, and forgets the silence of providers whose partition was revoked."""

    def __init__(
        self,
        topic: str,
        queues: Mapping[str, HourlyQuota | None],
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        *,
        grace_seconds: Mapping[str, float],
        events: EventSettings = DEFAULT_EVENTS,
    ) -> None:
        super().__init__(topic, queues, lambda timer: timer.name, now, grace_seconds=grace_seconds, events=events)
        self._silent = metrics.silent

    def revoked(self, partition: int) -> None:
        # silence is known to the partition's next owner alone; for partitions still owned, the next order sets it again
        self._silent.clear()
