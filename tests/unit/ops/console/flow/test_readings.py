"""The readings: what they say where Kafka tells a part, and how much they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.ops.console.flow.history import StepReading
from paynotify.ops.console.flow.readings import MAX_READS, FlowReader
from paynotify.ops.console.flow.steps import FlowStep
from paynotify.schemas.errors import ClusterUnavailableError

STEP = FlowStep("fetch.toy", "fetch", "toy", "paynotify.fetch.toy", ("lookups.toy",), "responses.toy")


class OneTopic:
    """Reader and admin client of a topic with as many partitions, each with ten records of which seven are done."""

    def __init__(self, partitions: int) -> None:
        self.places = [TopicPartition("lookups.toy", number) for number in range(partitions)]
        self.asked: list[TopicPartition] = []
        self.refuses = False

    def partitions(self, *names: str) -> list[TopicPartition]:
        return self.places

    def ranges(self, places: Iterable[TopicPartition]) -> list[OffsetRange]:
        return [OffsetRange(one, 0, 10) for one in places]

    def list_group_offsets(self, groups: Any) -> Any:
        return {STEP.group: {one: SimpleNamespace(offset=7) for one in self.places}}

    def read(self, ranges: Iterable[OffsetRange]) -> Iterator[tuple[TopicPartition, list[Any]]]:
        if self.refuses:
            raise ClusterUnavailableError("This user may not read the topic.")
        for one in ranges:
            assert (one.start, one.end) == (7, 8)
            self.asked.append(one.partition)
            yield one.partition, [SimpleNamespace(timestamp=1_000_000 + one.partition.partition)]


def flow_reader_of(topic: OneTopic) -> FlowReader:
    return FlowReader((STEP,), cast(TopicReader, topic), topic)


def test_next_records_are_read_once_and_few_at_a_time() -> None:
    topic = OneTopic(MAX_READS + 6)
    reader = flow_reader_of(topic)
    first = reader.read()[STEP.name]
    assert (first.lag, first.oldest_at) == (3 * len(topic.places), 1000.0)
    assert len(topic.asked) == MAX_READS
    reader.read()
    assert topic.asked == topic.places, "the others with the next sample"
    reader.read()
    assert topic.asked == topic.places


def test_topic_that_may_not_be_read_hides_no_lag() -> None:
    topic = OneTopic(2)
    topic.refuses = True
    assert flow_reader_of(topic).read()[STEP.name] == StepReading(20, 14, 6, 0, None)
