"""Timer service: publishes a TimeReached record to the stage's own topic when a timer in its state is due.

A stage that read a clock would behave differently when its batch is repeated after a crash. So every effect of time
begins with a record and has its place in the log. A record that comes twice, or too late, finds that its timer is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.state import timer_queue
from paynotify.processors.state.store import SortedKeys
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.events import DEFAULT_EVENTS, EventSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import TimeReached
from paynotify.schemas.records import Output
from paynotify.schemas.times import rfc3339, utc_now

logger = logging.getLogger("paynotify.timers")

_MAX_TIMERS_PER_TICK: Final = 500
#: A timer that is still due this long after its record was published is published again: the record may be late.
_PUBLISH_AGAIN_AFTER: Final = timedelta(seconds=60)
#: A partition not served for this long was owned by another process, or this process stalled: its times start over.
_UNSERVED_GAP: Final = timedelta(seconds=15)


class TimerService:
    """Publishes the due timers of each queue in turn, within each queue's quota.

    ``queues`` maps each queue's name to its quota; each timer uses one. ``key`` makes the record's key of a timer. The
    record goes to the partition whose state holds the timer, wherever its key would lead by now: after partitions were
    added to the topic, timers published to other partitions would never be removed and would block later ones.

    A queue in ``grace_seconds`` publishes nothing for that long after a partition was acquired: records that waited
    during a downtime are processed first, and make most timers that became due meanwhile unnecessary.

    A queue in ``group_sizes`` publishes so many timers in one record, and takes one from its quota for it. Fewer are
    published together only when the oldest has been due for ``gather_seconds``: others may become due with it.
    """

    def __init__(
        self,
        topic: str,
        queues: Mapping[str, HourlyQuota | None],
        key: Callable[[Timer], str],
        now: Callable[[], datetime] = utc_now,
        *,
        grace_seconds: Mapping[str, float] = MappingProxyType({}),
        group_sizes: Mapping[str, int] = MappingProxyType({}),
        gather_seconds: float = 0.0,
        events: EventSettings = DEFAULT_EVENTS,
    ) -> None:
        self._topic = topic
        self._headers = EventHeaders(events, "/clock", messages.TIME_REACHED)
        self._queues = queues
        self._key = key
        self._now = now
        self._grace_seconds = grace_seconds
        self._group_sizes = group_sizes
        self._gather_time = timedelta(seconds=gather_seconds)
        #: By partition, since when it has been served without a gap, and when it was served last.
        self._served: dict[int, tuple[datetime, datetime]] = {}
        #: By queue and partition, when each timer was last published, the oldest first.
        self._published: dict[str, dict[bytes, datetime]] = {}

    def due_records(self, partition: int, state: SortedKeys) -> Sequence[Output]:
        """The records to publish now for the due timers of a partition's state."""
        now = self._now()
        since, last = self._served.get(partition, (now, now))
        if now - last > _UNSERVED_GAP:
            since = now
        self._served[partition] = since, now
        return [
            self._record(timers, partition, grouped=queue in self._group_sizes)
            for queue, quota in self._queues.items()
            if now >= since + timedelta(seconds=self._grace_seconds.get(queue, 0.0))
            for timers in self._due(queue, quota, partition, state, now)
        ]

    def forget_revoked(self) -> None:
        """Forget partitions that have not been served for a while: another process owns them.

        A rebalance that leaves a partition here takes less time.
        """
        now = self._now()
        for partition in [one for one, (_, last) in self._served.items() if now - last > _UNSERVED_GAP]:
            del self._served[partition]
            self.revoked(partition)

    def revoked(self, partition: int) -> None:
        """Discard what was derived from the partition's state, such as its metrics."""

    def _due(
        self, queue: str, quota: HourlyQuota | None, partition: int, state: SortedKeys, now: datetime
    ) -> Iterator[Sequence[Timer]]:
        """The queue's timers to publish now. Reads no more than the quota allows: a long queue is read each second."""
        name, size = f"{queue}/{partition}", self._group_sizes.get(queue, 1)
        published = self._published.setdefault(name, {})
        _forget(published, now - _PUBLISH_AGAIN_AFTER)
        limit = _MAX_TIMERS_PER_TICK
        if quota is not None:
            available = quota.available(name)
            limit = min(limit, available * size + len(published)) if available else 0
        due = timer_queue.due(state, queue, now, limit) if limit else []
        waiting = [timer for timer in due if timer.key not in published]
        for first in range(0, len(waiting), size):
            group = waiting[first : first + size]
            # the rest of what was read is no group yet if there is more to read
            if len(group) < size and (len(due) == limit or not self._gathered(group[0], now)):
                return
            if quota is not None and quota(name) > 0:
                return
            published.update((timer.key, now) for timer in group)
            yield group

    def _gathered(self, oldest: Timer, now: datetime) -> bool:
        return now - timer_queue.moment_of(oldest.due_milliseconds) >= self._gather_time

    def _record(self, timers: Sequence[Timer], partition: int, *, grouped: bool) -> Output:
        first = timers[0]
        due = rfc3339(timer_queue.moment_of(first.due_milliseconds))
        time = TimeReached(name=first.name, lane=first.queue, due=due)
        if grouped:
            later = tuple(one.due_milliseconds - first.due_milliseconds for one in timers)
            names = tuple(one.name for one in timers)
            time = TimeReached(name="", lane=first.queue, due=due, names=names, later_milliseconds=later)
        key = self._key(first).encode()
        headers = self._headers(derived_id("time", first.queue, due, *(one.name for one in timers)), due, key)
        return Output(self._topic, key, messages.encode(time), headers, partition)


def _forget(published: dict[bytes, datetime], before: datetime) -> None:
    """Forget what was published until then; the oldest come first."""
    while published and published[first := next(iter(published))] <= before:
        del published[first]
