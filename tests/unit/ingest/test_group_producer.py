"""Groups in kafka-python's own accumulator: sent, acknowledged, split, aborted and refused."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import IllegalStateError, KafkaTimeoutError
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.record.memory_records import MemoryRecords

from paynotify.ingest.group_producer import PRIVATE_NAMES, GroupProducer
from paynotify.ingest.record_batch import encoded
from paynotify.ingest.record_group import PendingRecord, RecordGroup, TargetPartition
from paynotify.service.private_names import require

TOPIC = "notifications.trustpayments"
PLACE = TopicPartition(TOPIC, 2)


class Cluster:
    """Metadata of one broker that leads every partition."""

    def leader_for_partition(self, place: TopicPartition) -> int:
        return 0

    def partitions_for_broker(self, node: int) -> set[TopicPartition]:
        return {PLACE}


class Turns:
    """Turns of an event loop that has the work, or has not."""

    def __init__(self) -> None:
        self.may_have_one = False
        self.taken = 0

    def turn(self) -> None:
        self.taken += 1


class Client:
    """A producer with a real accumulator and no network."""

    def __init__(self) -> None:
        self.accumulator = RecordAccumulator(batch_size=512 * 1024, linger_ms=0)
        self.wakes = 0
        self.known: set[int] | None = {0, 1, 2, 3}
        producer = SimpleNamespace(
            _accumulator=self.accumulator,
            _sender=SimpleNamespace(wakeup=self._wake, ident=0),
            partitions_for=self._partitions,
        )
        self.sender = producer._sender
        self.turns = Turns()
        self.producer = GroupProducer(producer, self.turns)  # type: ignore[arg-type]
        self.reports: list[tuple[list[bytes], list[BaseException] | None]] = []

    def _wake(self) -> None:
        self.wakes += 1

    def _partitions(self, topic: str) -> set[int]:
        if self.known is None:
            raise KafkaTimeoutError
        return self.known

    def _report(self, group: RecordGroup, records: list[PendingRecord], errors: list[BaseException] | None) -> None:
        self.reports.append(([one.encoded for one in records], errors))

    def append(self, *values: bytes) -> RecordGroup:
        records = [PendingRecord(encoded(b"k", value, []), lambda outcome: None, 0.0) for value in values]
        group = RecordGroup(TargetPartition(TOPIC, 2), records, self._report)
        self.producer.append(group)
        return group

    def drained(self) -> list[Any]:
        """The batches that are sent next."""
        ready, _, _ = self.accumulator.ready(Cluster())
        batches: list[Any] = self.accumulator.drain(Cluster(), ready, 10**6).get(0, [])
        return batches


def values(batch: Any) -> list[bytes]:
    return [record.value for one in MemoryRecords(batch.records.buffer()) for record in one]


def test_group_is_one_batch_and_reports_all_its_records_at_once() -> None:
    client = Client()
    client.append(b"1", b"2")
    client.append(b"3")
    assert client.wakes == 0
    client.producer.wake()
    assert client.wakes == 1
    client.sender.ident = threading.get_ident()
    client.producer.wake()
    assert client.wakes == 1, "the network thread need not wake itself"
    client.turns.may_have_one = True
    client.producer.wake()
    assert (client.wakes, client.turns.taken) == (1, 1), "the event loop has the work"
    (first,) = client.drained()
    assert values(first) == [b"1", b"2"]
    assert first.record_count == 2
    (second,) = client.drained()
    assert values(second) == [b"3"]
    first.complete(7, -1)
    assert client.reports == [([encoded(b"k", b"1", []), encoded(b"k", b"2", [])], None)]


def test_group_that_fails_names_an_error_for_each_record() -> None:
    client = Client()
    client.append(b"1", b"2")
    (batch,) = client.drained()
    errors = [KafkaTimeoutError("1"), KafkaTimeoutError("2")]
    batch.complete_exceptionally(KafkaTimeoutError(), lambda number: errors[number])
    assert client.reports == [([encoded(b"k", b"1", []), encoded(b"k", b"2", [])], errors)]


def test_batch_that_is_split_reports_each_record_once_and_in_order() -> None:
    client = Client()
    client.append(b"1", b"2", b"3")
    (batch,) = client.drained()
    assert client.accumulator.split_and_reenqueue(batch) == 2
    (first,) = client.drained()
    assert values(first) == [b"1", b"2"]
    first.complete(7, -1)
    (second,) = client.drained()
    error = KafkaTimeoutError()
    second.complete_exceptionally(error, lambda number: error)
    assert client.reports == [
        ([encoded(b"k", b"1", [])], None),
        ([encoded(b"k", b"2", [])], None),
        ([encoded(b"k", b"3", [])], [error]),
    ]


def test_batches_of_a_client_that_is_closed_by_force_are_reported() -> None:
    client = Client()
    client.append(b"1")
    client.drained()
    client.append(b"2")
    client.accumulator.close()
    client.accumulator.abort_incomplete_batches()
    assert sorted(len(records) for records, _ in client.reports) == [1, 1]
    assert all(isinstance(errors[0], IllegalStateError) for _, errors in client.reports if errors is not None)
    with pytest.raises(IllegalStateError):
        client.append(b"3")
    assert not client.accumulator.has_incomplete


def test_group_of_an_unknown_topic_or_partition_is_refused_at_once() -> None:
    client = Client()
    client.known = {0, 1}
    with pytest.raises(ValueError, match="Partition 2"):
        client.append(b"1")
    client.known = None
    with pytest.raises(KafkaTimeoutError):
        client.append(b"1")
    assert not client.accumulator.has_incomplete


def test_installed_client_has_the_private_names() -> None:
    require(PRIVATE_NAMES)
