"""The publisher against the client's own futures: partitions, acknowledgements, expiry and the limit of memory."""

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, UnknownError
from kafka.future import Future
from kafka.partitioner import DefaultPartitioner

from ingest.limits import Slots
from ingest.notification import RecordHeaders
from ingest.publisher import NotificationPublisher, partition_of

TOPIC = "notifications.trustpayments"


class HeldProducer:
    """Keeps every record and its future, so that a test decides when and how the brokers respond."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, int, Future]] = []
        self.error: Exception | None = None
        self.closed = False

    def send(self, topic: str, value: bytes, key: bytes, headers: RecordHeaders, partition: int) -> Any:
        if self.error is not None:
            raise self.error
        future = Future()
        self.records.append((value, partition, future))
        return future

    def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2, 3}

    def close(self, timeout: float | None = None) -> None:
        self.closed = True


class FourPartitions:
    def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {3, 1, 0, 2}

    available_partitions_for_topic = partitions_for_topic


def make(timeout_seconds: float = 5.0) -> tuple[NotificationPublisher, HeldProducer, Slots]:
    producer, slots = HeldProducer(), Slots(10)
    publisher = NotificationPublisher(slots, timeout_seconds)
    publisher.open(producer, {TOPIC: 4})
    return publisher, producer, slots


async def test_publisher_refuses_every_record_until_it_is_open() -> None:
    publisher = NotificationPublisher(Slots(10), 5.0)
    assert not publisher.is_open
    assert publisher.publish(TOPIC, b"shop-uk/1", b"body", []) is None
    assert publisher.failures == {"no broker yet": 1}
    publisher.close()


@given(st.binary(min_size=1, max_size=100))
def test_partition_of_a_key_is_the_default_partitioners(key: bytes) -> None:
    expected = DefaultPartitioner().partition(TOPIC, key, key, b"", b"", FourPartitions())
    assert partition_of(key, 4) == expected


async def test_record_acknowledged_by_the_brokers_releases_its_slot() -> None:
    publisher, producer, slots = make()
    slots.take()
    response = publisher.publish(TOPIC, b"shop-uk/1", b"body", [])
    assert response is not None
    value, partition, future = producer.records[0]
    assert (value, partition) == (b"body", partition_of(b"shop-uk/1", 4))
    assert not response.done()
    assert slots.taken == 1
    thread = threading.Thread(target=future.success, args=(None,))
    thread.start()
    assert await response is True
    thread.join()
    assert slots.taken == 0


async def test_burst_of_acknowledgements_settles_every_request() -> None:
    publisher, producer, slots = make()
    responses = []
    for number in range(10):
        assert slots.take()
        responses.append(publisher.publish(TOPIC, b"shop-uk/%d" % number, b"", []))

    def brokers() -> None:
        for number, (_, _, future) in enumerate(producer.records):
            if number % 2:
                future.failure(KafkaTimeoutError())
            else:
                future.success(None)

    thread = threading.Thread(target=brokers)
    thread.start()
    told = [await response for response in responses if response is not None]
    thread.join()
    assert told == [True, False] * 5
    assert slots.taken == 0
    assert publisher.failures == {"KafkaTimeoutError": 5}


async def test_record_refused_at_once_leaves_the_slot_to_the_caller() -> None:
    publisher, producer, slots = make()
    producer.error = KafkaTimeoutError()
    slots.take()
    assert publisher.publish(TOPIC, b"k", b"", []) is None
    assert slots.taken == 1
    assert publisher.failures == {"KafkaTimeoutError": 1}


async def test_timed_out_record_keeps_its_slot_and_blocks_its_partition() -> None:
    publisher, producer, slots = make(timeout_seconds=0.0)
    slots.take()
    response = publisher.publish(TOPIC, b"shop-uk/1", b"", [])
    assert response is not None
    publisher.expire()
    assert await response is False
    assert slots.taken == 1
    assert publisher.publish(TOPIC, b"shop-uk/1", b"", []) is None
    assert publisher.stuck_seconds() > 0
    other = next(b"%d" % n for n in range(100) if partition_of(b"%d" % n, 4) != partition_of(b"shop-uk/1", 4))
    slots.take()
    beside = publisher.publish(TOPIC, other, b"", [])
    assert beside is not None
    for _, _, future in producer.records:
        future.success(None)
    assert await beside is True
    assert slots.taken == 0
    assert publisher.stuck_seconds() == 0
    slots.take()
    assert publisher.publish(TOPIC, b"shop-uk/1", b"", []) is not None


async def test_partitions_added_later_are_used() -> None:
    publisher, producer, slots = make()
    publisher.set_partitions({TOPIC: 64})
    for number in range(10):
        slots.take()
        publisher.publish(TOPIC, b"shop-uk/%d" % number, b"", [])
    assert [part for _, part, _ in producer.records] == [partition_of(b"shop-uk/%d" % n, 64) for n in range(10)]


async def test_producer_that_refuses_permanently_is_detected_and_replaced() -> None:
    publisher, producer, slots = make()
    slots.take()
    response = publisher.publish(TOPIC, b"shop-uk/1", b"", [])
    assert response is not None
    assert publisher.refused_seconds() == 0
    producer.records[0][2].failure(UnknownError())
    assert await response is False
    assert publisher.refused_seconds() > 0
    other = HeldProducer()
    publisher.replace(other)
    assert producer.closed
    assert publisher.refused_seconds() == 0
    slots.take()
    response = publisher.publish(TOPIC, b"shop-uk/1", b"again", [])
    assert response is not None
    other.records[0][2].success(None)
    assert await response is True


async def test_transient_errors_are_no_refusal_and_a_stored_record_ends_one() -> None:
    publisher, producer, slots = make()
    producer.error = KafkaTimeoutError()
    assert publisher.publish(TOPIC, b"shop-uk/1", b"", []) is None
    assert publisher.refused_seconds() == 0
    producer.error = UnknownError()
    assert publisher.publish(TOPIC, b"shop-uk/1", b"", []) is None
    assert publisher.refused_seconds() > 0
    producer.error = None
    slots.take()
    response = publisher.publish(TOPIC, b"shop-uk/1", b"", [])
    assert response is not None
    producer.records[0][2].success(None)
    assert await response is True
    assert publisher.refused_seconds() == 0
