"""Records are written in order, and acknowledged with one future for each batch, which writers may share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, ProducerClosed
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.transport import batch_writer
from paynotify.processors.transport.batch_writer import Written
from paynotify.schemas.records import Output

PARTITIONS: Final = 3
#: Room for a few small records.
BATCH_BYTES: Final = 300


class Offline:
    """A real producer without brokers: the test takes its batches and acknowledges them."""

    def __init__(self) -> None:
        async def known(topic: str) -> set[int]:
            return set(range(PARTITIONS))

        self.producer = AIOKafkaProducer(max_batch_size=BATCH_BYTES)
        self.producer.client._wait_on_metadata = known
        self.taken: dict[TopicPartition, list[Any]] = {}

    @property
    def _accumulator(self) -> Any:
        return self.producer._message_accumulator

    async def write(self, *outputs: Output) -> asyncio.Task[Written]:
        """Begin to write, and wait until all that fits is appended."""
        writing = asyncio.ensure_future(batch_writer.write(self.producer, outputs))
        for _ in range(5):
            await asyncio.sleep(0)
        return writing

    def take(self) -> None:
        """Take all batches that are ready, as the sender does."""
        for place in list(self._accumulator._batches):
            self.taken.setdefault(place, []).append(self._accumulator._pop_batch(place))

    def acknowledge(self, *, at: int = 0, stamp: int = -1) -> None:
        """Each partition's log begins at ``at``; the brokers tell the stamp of what they stamp themselves."""
        for batches in self.taken.values():
            offset = at
            for batch in batches:
                batch.done(offset, stamp)
                offset += batch.record_count


@pytest.fixture
async def offline() -> AsyncIterator[Offline]:
    one = Offline()
    yield one
    one.producer._closed = True


def output(value: bytes, *, partition: int | None = 0, key: bytes | None = b"key") -> Output:
    return Output("topic", key, value, (("name", b"text"),), partition)


PLACE: Final = TopicPartition("topic", 0)


async def test_records_of_a_partition_share_one_future_and_keep_their_order(offline: Offline) -> None:
    writing = await offline.write(output(b"1"), output(b"2", partition=1), output(b"3"))
    offline.take()
    assert {place: [batch.record_count for batch in taken] for place, taken in offline.taken.items()} == {
        PLACE: [2],
        TopicPartition("topic", 1): [1],
    }
    assert not writing.done()
    offline.acknowledge(at=40)
    assert (await writing).next_offsets == {PLACE: 42, TopicPartition("topic", 1): 41}


async def test_writers_share_a_batch_and_each_learns_its_own_offset(offline: Offline) -> None:
    first, second = await offline.write(output(b"1")), await offline.write(output(b"2"), output(b"3"))
    offline.take()
    assert len(offline.taken[PLACE]) == 1
    offline.acknowledge(at=7)
    assert ((await first).next_offsets, (await second).next_offsets) == ({PLACE: 8}, {PLACE: 10})


async def test_records_beyond_a_full_batch_go_to_the_next_one(offline: Offline) -> None:
    values = [b"%03d" % number * 20 for number in range(12)]
    writing = await offline.write(*map(output, values))
    for _ in range(len(values)):
        offline.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(offline.taken[PLACE]) > 1
    offline.acknowledge()
    assert (await writing).next_offsets == {PLACE: len(values)}


async def test_record_larger_than_a_batch_has_one_of_its_own(offline: Offline) -> None:
    writing = await offline.write(output(b"x" * BATCH_BYTES * 3))
    offline.take()
    offline.acknowledge()
    assert (await writing).next_offsets == {PLACE: 1}


async def test_failure_is_raised_after_all_others_have_their_result(offline: Offline) -> None:
    writing = await offline.write(output(b"1"), output(b"2", partition=1))
    offline.take()
    (failed,), (other,) = offline.taken[PLACE], offline.taken[TopicPartition("topic", 1)]
    failed.failure(KafkaError("not enough replicas"))
    await asyncio.sleep(0)
    assert not writing.done()
    other.done(0)
    with pytest.raises(KafkaError, match="not enough replicas"):
        await writing


async def test_cancelled_writer_leaves_the_others_of_its_batch_alone(offline: Offline) -> None:
    first, second = await offline.write(output(b"1")), await offline.write(output(b"2"))
    first.cancel()
    await asyncio.wait([first])
    offline.take()
    offline.acknowledge()
    assert (await second).next_offsets == {PLACE: 2}


async def test_cancelled_writer_does_not_wait_for_the_brokers(offline: Offline) -> None:
    """They may be away when a worker stops."""
    writing = await offline.write(*[output(b"%03d" % number * 20) for number in range(12)])
    assert offline._accumulator._batches[PLACE][-1]._builder.closed(), "it waits for room"
    writing.cancel()
    async with asyncio.timeout(0.5):
        await asyncio.wait([writing])
    assert writing.cancelled()


async def test_each_batch_of_a_writer_has_the_whole_time(offline: Offline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of many batches takes as long as they do: given up half-way, it would never succeed."""
    now = [0.0]
    monkeypatch.setattr(batch_writer, "time", SimpleNamespace(time=time.time, monotonic=lambda: now[0]))
    offline.producer._request_timeout_ms = 60_000
    values = [b"%03d" % number * 20 for number in range(12)]
    writing = await offline.write(*map(output, values))
    for _ in range(len(values)):
        now[0] += 50.0
        offline.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    offline.acknowledge()
    assert (await writing).next_offsets == {PLACE: 12}


async def test_writer_gives_up_when_no_batch_is_sent_in_time(offline: Offline) -> None:
    offline.producer._request_timeout_ms = 50
    writing = await offline.write(*[output(b"%03d" % number * 20) for number in range(12)])
    await asyncio.sleep(0.1)
    assert not writing.done(), "what was appended may still be sent"
    offline.take()
    offline.acknowledge()
    with pytest.raises(KafkaTimeoutError):
        await writing


async def test_oversized_record_is_refused_before_anything_is_written(offline: Offline) -> None:
    """Refused by the brokers, it would leave a hole in the numbers of an idempotent producer's records."""
    size = offline.producer._max_request_size
    with pytest.raises(MessageSizeTooLargeError):
        await batch_writer.write(offline.producer, [output(b"1"), output(b"x" * size)])
    assert not offline._accumulator._batches


async def test_writers_keep_their_order_when_others_append_in_between(offline: Offline) -> None:
    values = [b"%03d" % number * 20 for number in range(12)]
    one = await offline.write(*map(output, values))
    others = [await offline.write(output(b"%03d" % number)) for number in range(100, 103)]
    for _ in range(20):
        offline.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    offline.acknowledge()
    await asyncio.gather(one, *others)
    written = [record.value for batch in offline.taken[PLACE] for record in records_of(batch)]
    assert sorted(written) == sorted([*values, b"100", b"101", b"102"])
    assert [value for value in written if value in values] == values


async def test_batch_that_is_sent_again_keeps_its_place_and_count(offline: Offline) -> None:
    first = await offline.write(output(b"1"))
    offline.take()
    (batch,) = offline.taken.pop(PLACE)
    batch.get_data_buffer()  # as for a request, after which nothing can be appended
    offline._accumulator.reenqueue(batch)
    second = await offline.write(output(b"2"), output(b"3"))
    offline.take()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    offline.take()
    assert [batch.record_count for batch in offline.taken[PLACE]] == [1, 2]
    offline.acknowledge(at=7)
    assert ((await first).next_offsets, (await second).next_offsets) == ({PLACE: 8}, {PLACE: 10})


def records_of(batch: Any) -> list[Any]:
    records = MemoryRecords(bytes(batch.get_data_buffer()))
    found: list[Any] = []
    while records.has_next():
        found += records.next_batch()
    return found


async def test_stamps_are_those_that_the_brokers_made(offline: Offline) -> None:
    writing = await offline.write(output(b"1"), output(b"2", partition=1))
    offline.take()
    offline.acknowledge(stamp=1_800_000_000_123)
    assert (await writing).stamps_seconds == (1_800_000_000.123,) * 2
    writing = await offline.write(output(b"1"))
    offline.take()
    offline.acknowledge()
    assert (await writing).stamps_seconds == ()


async def test_closed_producer_refuses_records(offline: Offline) -> None:
    offline._accumulator._closed = True
    with pytest.raises(ProducerClosed):
        await batch_writer.write(offline.producer, [output(b"1")])


@given(st.binary(max_size=60), st.integers(1, 20))
def test_partition_of_a_key_is_that_of_every_kafka_client(key: bytes, partitions: int) -> None:
    numbers = list(range(partitions))
    assert batch_writer.chosen_partition(key, numbers) == DefaultPartitioner()(key, numbers, numbers)


def test_record_without_a_key_goes_to_any_partition() -> None:
    assert {batch_writer.chosen_partition(None, [4, 5]) for _ in range(100)} == {4, 5}
