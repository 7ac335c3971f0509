"""Time for the stages, as records: when something on a stage's agenda is due, its own log is told so.

A stage that looked at a clock would do other things when its batch is repeated after a crash. So whatever happens
because time has passed begins with a record, and each effect has its place in the order of the log. A record that
comes twice, or too late, finds that its entry is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from processors.limits.hourly_quota import HourlyQuota
from processors.state import timer_queue
from processors.state.timer_queue import Keys, Timer
from schemas import messages
from schemas.cloudevents import cloud_event
from schemas.ids import derived_id
from schemas.messages import TimeReached
from schemas.records import Output
from schemas.times import rfc3339

_ENTRIES_AT_A_TIME: Final = 500
#: An entry that is still there so long after it was told is told again: the record may not have been handled yet.
_TELL_AGAIN: Final = timedelta(seconds=60)
#: A partition that nothing was told of for so long was another's, or this process stood still: it begins anew.
_GAP: Final = timedelta(seconds=15)


class TimerService:
    """Tells what is due in one lane after another, no faster than each lane's allowance.

    ``lanes`` are by name; the allowance is spent with one for each entry told. ``key`` makes the record's key of an
    entry. The record goes to the partition whose state holds the entry, wherever its key would lead it by now: after
    the topic was given more partitions, entries told to others would stay for ever and keep later ones from their turn.

    A lane in ``settles`` is told nothing of for so many seconds after a partition was taken over: news that waited
    during a downtime comes first, and most of what became due meanwhile has come to nothing by then.
    """

    def __init__(
        self,
        topic: str,
        lanes: Mapping[str, HourlyQuota | None],
        key: Callable[[Timer], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        settles: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._topic = topic
        self._lanes = lanes
        self._key = key
        self._now = now
        self._settles = settles
        #: By partition, since when it is told of without a gap, and when it was told of last.
        self._held: dict[int, tuple[datetime, datetime]] = {}
        #: By lane and partition, in the order in which they were told.
        self._told: dict[str, dict[bytes, datetime]] = {}

    def tell(self, partition: int, state: Keys) -> Sequence[Output]:
        """The records to publish now for what is due in a partition's state."""
        now = self._now()
        since, last = self._held.get(partition, (now, now))
        if now - last > _GAP:
            since = now
        self._held[partition] = since, now
        return [
            self._record(entry, partition)
            for lane, allowance in self._lanes.items()
            if now >= since + timedelta(seconds=self._settles.get(lane, 0.0))
            for entry in self._lane(lane, allowance, partition, state, now)
        ]

    def forget_lost(self) -> None:
        """Let go of the partitions that were not told of for a while: they are another's now. A rebalance that leaves
        them here takes less."""
        now = self._now()
        for partition in [one for one, (_, last) in self._held.items() if now - last > _GAP]:
            del self._held[partition]
            self.lost(partition)

    def lost(self, partition: int) -> None:
        """Nothing that was said of the partition is known here any more."""

    def _lane(
        self, lane: str, allowance: HourlyQuota | None, partition: int, state: Keys, now: datetime
    ) -> Iterator[Timer]:
        """The lane's entries to be told now. No more are read than may be: a lane with a long queue is looked at every
        second for hours."""
        name = f"{lane}/{partition}"
        told = self._told.setdefault(name, {})
        _forget(told, now - _TELL_AGAIN)
        most = _ENTRIES_AT_A_TIME
        if allowance is not None:
            allowed = allowance.available(name)
            most = min(most, allowed + len(told)) if allowed else 0
        for entry in timer_queue.due(state, lane, now, most) if most else ():
            key = entry.key
            if key in told:
                continue
            if allowance is not None and allowance(name) > 0:
                return
            told[key] = now
            yield entry

    def _record(self, entry: Timer, partition: int) -> Output:
        due = rfc3339(timer_queue.moment_of(entry.due_milliseconds))
        headers = cloud_event(
            event_id=derived_id("time", entry.lane, due, entry.name),
            source="/clock",
            event_type=messages.TIME_REACHED,
            event_time=due,
        )
        value = messages.encode(TimeReached(name=entry.name, lane=entry.lane, due=due))
        return Output(self._topic, self._key(entry).encode(), value, headers, partition)


def _forget(told: dict[bytes, datetime], before: datetime) -> None:
    """Drop what was told until then; the oldest come first."""
    while told and told[first := next(iter(told))] <= before:
        del told[first]
