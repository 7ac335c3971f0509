"""The publisher with a producer that a test completes: groups, acknowledgements, expiry and the limit of memory."""

import asyncio
import threading
import time

import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, UnknownError
from kafka.future import Future

from paynotify.ingest.limits import Slots
from paynotify.ingest.publisher import NotificationPublisher
from paynotify.ingest.record_batch import encoded
from paynotify.ingest.record_group import BatchResult, PendingRecord, RecordGroup
from paynotify.service.partitioner import partition_of

TOPIC = "notifications.trustpayments"
KEY = b"shop-uk/1"
#: Of another partition.
OTHER = next(b"%d" % n for n in range(100) if partition_of(b"%d" % n, 4) != partition_of(KEY, 4))


class HeldProducer:
    """Keeps every group, so that a test decides when and how the brokers respond."""

    def __init__(self) -> None:
        self.groups: list[RecordGroup] = []
        self.values: list[bytes] = []
        self.wakes = 0
        self.error: Exception | None = None
        self.closed = False

    def append(self, group: RecordGroup) -> None:
        if self.error is not None:
            raise self.error
        self.groups.append(group)
        self.values += [record.encoded for record in group.records]

    def wake(self) -> None:
        self.wakes += 1

    def close(self) -> None:
        self.closed = True

    def sizes(self) -> list[int]:
        return [len(group.records) for group in self.groups]


def stored(group: RecordGroup) -> None:
    """The brokers acknowledge the group."""
    group.finished((0, -1, None))


def acknowledged(producer: HeldProducer, count: int) -> None:
    """The brokers acknowledge one group after the other, until they have so many records."""
    done = records = 0
    until = time.monotonic() + 30
    while records < count and time.monotonic() < until:
        if done < len(producer.groups):
            records += len(producer.groups[done].records)
            stored(producer.groups[done])
            done += 1


def refused(group: RecordGroup, error: BaseException) -> None:
    group.finished((-1, -1, lambda number: error))


def apart(record: PendingRecord, result: BatchResult) -> None:
    """The record's batch was split, and the brokers respond to its part."""
    part = Future()
    record.rebind(part, 0)
    part.success(result)


class Publishing:
    """A publisher of four partitions, its producer, and what the requests were told."""

    def __init__(self, timeout_seconds: float = 5.0, slots: int = 10) -> None:
        self.slots = Slots(slots)
        self.producer = HeldProducer()
        self.publisher = NotificationPublisher(self.slots, timeout_seconds)
        self.publisher.open(self.producer, {TOPIC: 4})
        self.told: list[tuple[int, bool]] = []

    def publish(self, number: int = 0, key: bytes = KEY, value: bytes = b"") -> bool:
        self.slots.take()
        return self.publisher.publish(TOPIC, key, value, [], lambda outcome: self.told.append((number, outcome)))

    async def handed_over(self, groups: int) -> None:
        async with asyncio.timeout(5):
            while len(self.producer.groups) < groups:
                await asyncio.sleep(0)

    async def all_told(self, count: int) -> list[tuple[int, bool]]:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                await asyncio.sleep(0)
        return self.told


async def test_publisher_refuses_every_record_until_it_is_open() -> None:
    publisher = NotificationPublisher(Slots(10), 5.0)
    assert not publisher.is_open
    assert not publisher.publish(TOPIC, KEY, b"body", [], lambda outcome: None)
    assert publisher.failures == {"no broker yet": 1}
    await publisher.close()


async def test_record_acknowledged_by_the_brokers_releases_its_slot() -> None:
    one = Publishing()
    assert one.publish(value=b"body")
    await one.handed_over(1)
    (group,) = one.producer.groups
    assert (group.partition.topic, group.partition.number) == (TOPIC, partition_of(KEY, 4))
    assert [record.encoded for record in group.records] == [encoded(KEY, b"body", [])]
    assert one.told == []
    assert one.slots.taken == 1
    thread = threading.Thread(target=stored, args=(group,))
    thread.start()
    assert await one.all_told(1) == [(0, True)]
    thread.join()
    assert one.slots.taken == 0


async def test_records_of_one_round_leave_together_in_their_order() -> None:
    one = Publishing()
    for number in range(5):
        one.publish(number, value=b"%d" % number)
    one.publish(5, OTHER)
    await one.handed_over(2)
    assert one.producer.wakes == 1
    first, second = one.producer.groups
    assert [record.encoded for record in first.records] == [encoded(KEY, b"%d" % n, []) for n in range(5)]
    assert len(second.records) == 1
    stored(first)
    assert await one.all_told(5) == [(n, True) for n in range(5)]
    assert one.slots.taken == 1


async def test_records_gather_while_their_partition_waits_for_the_brokers() -> None:
    one = Publishing()
    one.publish(0)
    await one.handed_over(1)
    one.publish(1)
    one.publish(2)
    one.publish(3, OTHER)
    await one.handed_over(2)
    assert one.producer.groups[1].partition is not one.producer.groups[0].partition
    stored(one.producer.groups[0])
    await one.handed_over(3)
    assert one.producer.sizes()[1:] == [1, 2]
    assert await one.all_told(1) == [(0, True)]
    assert one.slots.taken == 3


async def test_network_thread_takes_along_what_has_gathered_for_any_partition() -> None:
    one = Publishing()
    one.publish(0)
    await one.handed_over(1)
    one.publish(1, OTHER)
    one.publish(2)
    thread = threading.Thread(target=stored, args=(one.producer.groups[0],))
    thread.start()
    thread.join()  # without a round of the loop in between
    assert sorted(one.producer.sizes()) == [1, 1, 1]
    assert one.told == []
    assert await one.all_told(1) == [(0, True)]


async def test_records_gathered_by_one_thread_and_taken_by_the_other_keep_their_order() -> None:
    count = 5000
    one = Publishing(slots=count)
    brokers = threading.Thread(target=acknowledged, args=(one.producer, count))
    brokers.start()
    for number in range(count):
        one.publish(number, value=b"%d" % number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    told = await one.all_told(count)
    brokers.join()
    assert told == [(number, True) for number in range(count)]
    assert one.producer.values == [encoded(KEY, b"%d" % number, []) for number in range(count)]
    assert one.slots.taken == 0


async def test_record_after_the_last_acknowledgement_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer of records that waited for it must not make later ones wait."""
    monkeypatch.setattr("paynotify.ingest.publisher._GATHER_SECONDS", 3600.0)
    one = Publishing()
    one.publish(1, b"shop-uk/1")
    await one.handed_over(1)
    one.publish(2, b"shop-uk/2")  # of another partition: sets the timer
    stored(one.producer.groups[0])
    stored(one.producer.groups[1])
    one.publish(3, b"shop-uk/3")
    await one.handed_over(3)


async def test_other_partition_does_not_wait_for_one_that_is_stuck() -> None:
    one = Publishing()
    one.publish(0)
    await one.handed_over(1)
    one.publish(1, OTHER)
    await one.handed_over(2)
    stored(one.producer.groups[1])
    assert await one.all_told(1) == [(1, True)]


async def test_event_loop_is_woken_once_for_a_burst_of_acknowledgements(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Publishing()
    for number in range(10):
        one.publish(number, b"shop-uk/%d" % number)
    await one.handed_over(4)
    loop = asyncio.get_running_loop()
    woken = []
    wake = loop.call_soon_threadsafe

    def counted(callback: object, *arguments: object) -> object:
        woken.append(callback)
        return wake(callback, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)

    def brokers() -> None:
        for number, group in enumerate(one.producer.groups):
            if number % 2:
                refused(group, KafkaTimeoutError())
            else:
                stored(group)

    thread = threading.Thread(target=brokers)
    thread.start()
    thread.join()  # without a round of the loop in between
    assert len(woken) == 1
    told = await one.all_told(10)
    not_stored = [outcome for _, outcome in told].count(False)
    assert one.slots.taken == 0
    assert one.publisher.failures == {"KafkaTimeoutError": not_stored}
    assert 0 < not_stored < 10


async def test_batch_that_was_split_is_told_record_by_record() -> None:
    """kafka-python splits a batch that the brokers find too long, and sends its parts one after the other."""
    one = Publishing()
    for number in range(3):
        one.publish(number)
    await one.handed_over(1)
    one.publish(3)
    first, second, third = one.producer.groups[0].records
    apart(first, (0, -1, None))
    assert await one.all_told(1) == [(0, True)]
    apart(second, (-1, -1, lambda number: KafkaError()))
    assert await one.all_told(2) == [(0, True), (1, False)]
    assert one.slots.taken == 2
    assert len(one.producer.groups) == 1, "a part is still on its way"
    apart(third, (0, -1, None))
    await one.handed_over(2)
    assert await one.all_told(3) == [(0, True), (1, False), (2, True)]
    assert one.publisher.failures == {"KafkaError": 1}
    assert one.slots.taken == 1


async def test_part_of_a_split_batch_that_times_out_blocks_its_partition() -> None:
    one = Publishing(timeout_seconds=0.0)
    one.publish(0)
    one.publish(1)
    await one.handed_over(1)
    first, second = one.producer.groups[0].records
    apart(first, (0, -1, None))
    assert await one.all_told(1) == [(0, True)]
    one.publisher.expire()
    assert one.told == [(0, True), (1, False)]
    assert not one.publish(2)
    apart(second, (0, -1, None))
    async with asyncio.timeout(5):
        while one.publisher.stuck_seconds():
            await asyncio.sleep(0)
    assert one.slots.taken == 1


async def test_group_refused_by_the_producer_is_told_and_releases_its_slots() -> None:
    one = Publishing()
    one.producer.error = KafkaTimeoutError()
    one.publish(0)
    one.publish(1)
    assert await one.all_told(2) == [(0, False), (1, False)]
    assert one.slots.taken == 0
    assert one.producer.wakes == 0
    assert one.publisher.failures == {"KafkaTimeoutError": 2}
    one.producer.error = None
    one.publish(2)
    await one.handed_over(1)


async def test_timed_out_record_keeps_its_slot_and_blocks_its_partition() -> None:
    one = Publishing(timeout_seconds=0.0)
    one.publish(0)
    await one.handed_over(1)
    one.publisher.expire()
    assert one.told == [(0, False)]
    assert one.slots.taken == 1
    assert not one.publish(1)
    one.slots.release()
    assert one.publisher.stuck_seconds() > 0
    assert one.publish(2, OTHER)
    await one.handed_over(2)
    for group in one.producer.groups:
        stored(group)
    assert await one.all_told(2) == [(0, False), (2, True)]
    assert one.slots.taken == 0
    assert one.publisher.stuck_seconds() == 0
    assert one.publish(3)


async def test_record_that_times_out_while_it_gathers_is_never_sent() -> None:
    one = Publishing(timeout_seconds=0.0)
    one.publish(0)
    await one.handed_over(1)
    one.publish(1)
    one.publisher.expire()
    assert sorted(one.told) == [(0, False), (1, False)]
    assert one.slots.taken == 1, "the one that was handed over may still be stored"
    stored(one.producer.groups[0])
    async with asyncio.timeout(5):
        while one.publisher.stuck_seconds():
            await asyncio.sleep(0)
    assert one.producer.sizes() == [0]
    assert one.slots.taken == 0
    one.publish(2)
    await one.handed_over(2)


async def test_group_is_no_longer_than_a_batch_may_be() -> None:
    one = Publishing()
    for number in range(3):
        one.publish(number, value=b"x" * 300_000)
    await one.handed_over(1)
    assert one.producer.sizes() == [1]
    stored(one.producer.groups[0])
    await one.handed_over(2)
    stored(one.producer.groups[1])
    await one.handed_over(3)
    stored(one.producer.groups[2])
    assert await one.all_told(3) == [(0, True), (1, True), (2, True)]


async def test_close_hands_over_what_has_gathered() -> None:
    one = Publishing()
    one.publish(0)
    await one.handed_over(1)
    one.publish(1, value=b"x" * 300_000)
    one.publish(2, value=b"x" * 300_000)
    one.publish(3, OTHER)
    await one.publisher.close()
    assert one.producer.sizes() == [1, 1, 1, 1]
    assert one.producer.closed
    for group in one.producer.groups:
        stored(group)
    assert sorted(await one.all_told(4)) == [(n, True) for n in range(4)]
    assert one.slots.taken == 0


async def test_request_that_fails_leaves_the_others_their_response() -> None:
    one = Publishing()
    one.slots.take()
    assert one.publisher.publish(TOPIC, KEY, b"", [], lambda outcome: 1 / 0)  # type: ignore[arg-type]
    one.publish(1)
    await one.handed_over(1)
    stored(one.producer.groups[0])
    assert await one.all_told(1) == [(1, True)]
    assert one.slots.taken == 0


async def test_partitions_added_later_are_used() -> None:
    one = Publishing()
    one.publisher.set_partitions({TOPIC: 64})
    keys = [b"shop-uk/%d" % number for number in range(10)]
    for number, key in enumerate(keys):
        one.publish(number, key)
    wanted = {partition_of(key, 64) for key in keys}
    await one.handed_over(len(wanted))
    assert {group.partition.number for group in one.producer.groups} == wanted


async def test_producer_that_refuses_permanently_is_detected_and_replaced() -> None:
    one = Publishing()
    one.publish(0)
    await one.handed_over(1)
    assert one.publisher.refused_seconds() == 0
    refused(one.producer.groups[0], UnknownError())
    assert await one.all_told(1) == [(0, False)]
    assert one.publisher.refused_seconds() > 0
    other = HeldProducer()
    one.publisher.replace(other)
    assert one.producer.closed
    assert one.publisher.refused_seconds() == 0
    one.producer = other
    one.publish(1)
    await one.handed_over(1)
    stored(other.groups[0])
    assert await one.all_told(2) == [(0, False), (1, True)]


async def test_transient_errors_are_no_refusal_and_a_stored_record_ends_one() -> None:
    one = Publishing()
    one.producer.error = KafkaTimeoutError()
    one.publish(0)
    await one.all_told(1)
    assert one.publisher.refused_seconds() == 0
    one.producer.error = UnknownError()
    one.publish(1)
    await one.all_told(2)
    assert one.publisher.refused_seconds() > 0
    one.producer.error = None
    one.publish(2)
    await one.handed_over(1)
    stored(one.producer.groups[0])
    assert await one.all_told(3) == [(0, False), (1, False), (2, True)]
    assert one.publisher.refused_seconds() == 0
