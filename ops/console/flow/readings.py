"""Asks Kafka how far each step is: where topics end, what groups have committed, how old the next record is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from paynotify.ops.common.committed import committed_offsets
from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.ops.console.flow.history import StepReading
from paynotify.ops.console.flow.steps import FlowStep
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.service.cluster import admin
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: Partitions whose next record is read for one sample: a long outage must not make the sampler a heavy reader.
MAX_READS: Final = 64
_READ_BYTES: Final = 64 * 1024


class FlowReader:
    """Reads one sample after the other. What it knows of a partition's next record stays until the group moves on."""

    def __init__(self, steps: Sequence[FlowStep], reader: TopicReader, client: Any) -> None:
        self._steps = steps
        self._reader = reader
        self._client = client
        self._times: dict[TopicPartition, tuple[int, float | None]] = {}

    def read(self) -> Mapping[str, StepReading]:
        """The readings of all steps.

        Raises:
            ClusterUnavailableError: the brokers do not tell.
            KafkaError: the brokers refuse a request.
        """
        partitions = {one.name: self._reader.partitions(*one.topics, *one.waiting) for one in self._steps}
        wholes = {
            one.partition: one for one in self._reader.ranges(one for each in partitions.values() for one in each)
        }
        committed = committed_offsets(
            self._client, {one.group: partitions[one.name] for one in self._steps if partitions[one.name]}
        )
        done = {place: min(max(committed[place], whole.log_start), whole.end) for place, whole in wholes.items()}
        waiting = {topic for one in self._steps for topic in one.waiting}
        behind = [
            OffsetRange(place, done[place], whole.end)
            for place, whole in wholes.items()
            if place.topic not in waiting and done[place] < whole.end
        ]
        try:
            self._read_times(behind)
        except ClusterUnavailableError as error:  # a topic that this user may not read must not hide all lags
            self._times = {}
            event(logger, "ages_not_read", level=logging.WARNING, error=str(error))
        return {one.name: self._reading(one, partitions[one.name], wholes, done) for one in self._steps}

    def _reading(
        self,
        step: FlowStep,
        partitions: Iterable[TopicPartition],
        wholes: Mapping[TopicPartition, OffsetRange],
        done: Mapping[TopicPartition, int],
    ) -> StepReading:
        own = [one for one in partitions if one.topic in step.topics]
        lags = {one: wholes[one].end - done[one] for one in own}
        # a transaction's end marker takes an offset that no group commits
        lags = {one: 0 if self._has_no_record(one, done[one]) else lag for one, lag in lags.items()}
        times = [at for one in own if lags[one] and (at := self._times.get(one, (0, None))[1]) is not None]
        return StepReading(
            ended=sum(wholes[one].end for one in own),
            done=sum(done[one] for one in own),
            lag=sum(lags.values()),
            waiting=sum(wholes[one].end - done[one] for one in partitions if one.topic in step.waiting),
            oldest_at=min(times, default=None),
        )

    def _has_no_record(self, place: TopicPartition, offset: int) -> bool:
        return self._times.get(place) == (offset, None)

    def _read_times(self, unread: Iterable[OffsetRange]) -> None:
        """Read the next record's time of each partition where the group has moved on."""
        behind = {one.partition: one for one in unread}
        known = {place: found for place, found in self._times.items() if _is_known(found, behind.get(place))}
        missing = [one for place, one in behind.items() if place not in known][:MAX_READS]
        ends = {one.partition: one for one in missing}
        for place, records in self._reader.read(
            OffsetRange(one.partition, one.start, one.start + 1) for one in missing
        ):
            known[place] = (ends.pop(place).start, records[0].timestamp / 1000)
        for place, one in ends.items():
            if one.length == 1:
                known[place] = (one.start, None)
        self._times = known


def _is_known(found: tuple[int, float | None], behind: OffsetRange | None) -> bool:
    if behind is None or found[0] != behind.start:
        return False
    return found[1] is not None or behind.length == 1


@contextmanager
def flow_reader(configuration: Configuration, steps: Sequence[FlowStep]) -> Iterator[FlowReader]:
    """A reader with connections of its own.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request in the block.
    """
    with TopicReader(configuration, _READ_BYTES) as reader, admin(configuration) as client:
        yield FlowReader(steps, reader, client)
