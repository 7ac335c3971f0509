"""Faust's consumer hands over what is fetched by partition, commits by offset, and loses nothing when it seeks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from processors.transport.faust_consumer import FaustConsumer
from processors.transport.faust_driver import FlowControl
from processors.transport.streams import FetchedRecords

COMMITTED = {TP("observations", 0): 7, TP("observations", 1): None, TP("observations", 2): 0, TP("changelog", 1): None}


class Offline(FaustConsumer):
    """A consumer without brokers, which records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sought: dict[TP, int] = {}
        self.fetched = asyncio.Event()
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic == "changelog")

    def stop_flow(self) -> None:
        self.calls.append("stop flow")

    async def _seek(self, partition: TP, offset: int) -> None:
        self.sought[partition] = offset


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Offline:
    async def committed(self: Offline) -> Mapping[TP, int | None]:
        return COMMITTED

    async def getmany(self: Offline, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await self.fetched.wait()
        self.calls.append("fetch ends")
        return {}

    async def perform_seek(self: Offline) -> None:
        self.calls.append("seek")

    monkeypatch.setattr(ThreadDelegateConsumer, "seek_to_committed", committed)
    monkeypatch.setattr(ThreadDelegateConsumer, "_getmany", getmany)
    monkeypatch.setattr(ThreadDelegateConsumer, "perform_seek", perform_seek)
    return Offline()


async def test_partitions_without_a_commit_seek_to_their_beginning(consumer: Offline) -> None:
    assert await consumer.seek_to_committed() == COMMITTED
    assert consumer.sought == {TP("observations", 1): 0, TP("observations", 2): 0}


async def test_consumer_seeks_only_when_no_fetch_is_in_progress(consumer: Offline) -> None:
    fetch = asyncio.ensure_future(consumer._getmany(None, 1.0))
    await asyncio.sleep(0)
    back = asyncio.ensure_future(consumer.perform_seek())
    for _ in range(5):
        await asyncio.sleep(0)
    assert consumer.calls == ["stop flow"]
    consumer.fetched.set()
    await asyncio.gather(fetch, back)
    assert consumer.calls == ["stop flow", "fetch ends", "seek"]


# --- handing over and committing --------------------------------------------------------------------------------

PLACE: Final = TP("observations", 0)
GENERATION: Final = 3


def fetched(*offsets: int, headers: Sequence[tuple[str, bytes]] = ()) -> list[ConsumerRecord[bytes, bytes]]:
    return [
        ConsumerRecord("observations", 0, offset, 1_500, 0, b"key", b"value", None, 3, 5, headers) for offset in offsets
    ]


class Working(FaustConsumer):
    """A consumer with one partition, whose fetches and commits are the test's."""

    def __init__(self) -> None:
        self.queue: ThrowableQueue[FetchedRecords] = ThrowableQueue(maxsize=4, flow_control=FlowControl())
        self.app: Any = SimpleNamespace(
            consumer_generation_id=GENERATION,
            in_recovery=False,
            topics=SimpleNamespace(_tp_index={PLACE: [SimpleNamespace(queue=self.queue)]}),
        )
        self.brought: dict[Any, Any] = {}
        self.commits: list[dict[TP, int]] = []
        self.committed = asyncio.Event()
        self.woken = 0
        self._thread: Any = SimpleNamespace(deliver_again=self._wake)
        self.flow_active = True
        self._active_partitions, self._paused_partitions = {PLACE}, set()
        self._buffered_partitions: set[TP] = set()
        self._read_offset, self._committed_offset = {PLACE: None}, {PLACE: None}
        self._room, self._acknowledged, self.assigned = asyncio.Event(), {}, {PLACE}

    def _wake(self) -> None:
        self.woken += 1

    def assignment(self) -> set[TP]:
        return self.assigned

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        brought, self.brought = self.brought, {}
        return brought

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        await asyncio.sleep(0)
        return True

    async def fetch(self, *offsets: int) -> None:
        self.brought = {TopicPartition("observations", 0): fetched(*offsets)}
        await self._hand_over_next()

    async def commit(self, *_: Any, **__: Any) -> bool:
        return await self._commit_tps(list(self._filter_tps_with_pending_acks()), start_new_transaction=False)

    async def _handle_attached(self, commit_offsets: Mapping[TP, int]) -> None:
        """Nothing is attached to a commit."""


async def test_fetch_is_handed_over_as_one_message_for_each_partition() -> None:
    consumer = Working()
    await consumer.fetch(4, 5, 7)
    handed_over = consumer.queue.get_nowait()
    assert [one.offset for one in handed_over.records] == [4, 5, 7]
    assert handed_over.generation == GENERATION
    assert (handed_over.records[0].timestamp_seconds, handed_over.records[0].headers) == (1.5, ())
    assert consumer.queue.empty()


async def test_records_before_the_position_are_not_handed_over_again() -> None:
    consumer = Working()
    await consumer.fetch(4, 5)
    await consumer.fetch(5, 6)
    await consumer.fetch(5, 6)
    assert [[one.offset for one in consumer.queue.get_nowait().records] for _ in range(2)] == [[4, 5], [6]]
    assert consumer.queue.empty()


async def test_nothing_is_handed_over_of_a_partition_that_is_not_active() -> None:
    consumer = Working()
    consumer.brought = {TopicPartition("observations", 1): fetched(1)}
    await consumer._hand_over_next()
    assert consumer._read_offset == {PLACE: None}


async def test_full_partition_is_not_fetched_until_there_is_room_again() -> None:
    consumer = Working()
    offset = 0
    while PLACE in consumer._get_active_partitions():
        await consumer.fetch(offset)
        offset += 1
    assert consumer.queue.qsize() == 4
    waiting = asyncio.ensure_future(consumer._wait_next_records(60.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    while not consumer.queue.empty():
        consumer.queue.get_nowait()
    assert await asyncio.wait_for(waiting, 5) == ({}, {PLACE})
    assert consumer.woken > 0, "a fetch that waits for other partitions looks again"


async def test_acknowledged_offset_is_committed_once() -> None:
    consumer = Working()
    await consumer.fetch(4, 5, 6)
    handed_over = consumer.queue.get_nowait()
    handed_over.acknowledge(6)
    assert await consumer.commit()
    assert not await consumer.commit()
    handed_over.acknowledge(7)
    assert await consumer.commit()
    assert consumer.commits == [{PLACE: 6}, {PLACE: 7}]


async def test_acknowledgement_during_a_commit_is_committed_next() -> None:
    consumer = Working()
    await consumer.fetch(4, 5, 6)
    handed_over = consumer.queue.get_nowait()
    handed_over.acknowledge(6)
    committing = asyncio.ensure_future(consumer.commit())
    await asyncio.sleep(0)
    handed_over.acknowledge(7)
    assert await committing
    assert await consumer.commit()
    assert consumer.commits == [{PLACE: 6}, {PLACE: 7}]


async def test_acknowledgement_of_an_earlier_generation_is_not_committed() -> None:
    consumer = Working()
    await consumer.fetch(4, 5)
    handed_over = consumer.queue.get_nowait()
    consumer.app.consumer_generation_id += 1
    handed_over.acknowledge(6)
    assert not await consumer.commit()


async def test_revoked_partition_is_not_committed() -> None:
    consumer = Working()
    await consumer.fetch(4, 5)
    consumer.queue.get_nowait().acknowledge(6)
    consumer.assigned = set()
    assert not await consumer.commit()
    assert consumer.commits == []


# --- the libraries' own parts: when one of these fails, that part of the driver can go ------------------------


FaustsOwn: Any = Consumer


class LibraryConsumer(FaustsOwn):  # type: ignore[misc]  # its abstract methods are not needed here
    """Faust's own consumer with a fetch that lasts, without brokers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.flow_active = True
        self.app: Any = SimpleNamespace(client_only=True)
        self.not_waiting_next_records = asyncio.Event()
        self.not_waiting_next_records.set()
        self.fetched = asyncio.Event()

    async def _getmany(self, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await self.fetched.wait()
        self.calls.append("fetch ends")
        return {}

    async def seek_to_committed(self) -> dict[TP, int]:
        self.calls.append("seek")
        return {}


LibraryConsumer.__abstractmethods__ = frozenset()


async def test_fausts_own_consumer_seeks_while_a_fetch_is_in_progress() -> None:
    consumer = LibraryConsumer()
    consumer._read_offset, consumer._committed_offset = {}, {}
    fetch = asyncio.ensure_future(consumer._wait_next_records(1.0))
    await asyncio.sleep(0)
    await asyncio.wait_for(consumer.wait_for_stopped_flow(), 1.0)
    await consumer.perform_seek()
    consumer.fetched.set()
    await fetch
    assert consumer.calls == ["seek", "fetch ends"]


async def test_aiokafkas_own_seek_leaves_partitions_without_a_commit_where_they_are() -> None:
    places = [TP("observations", number) for number in range(3)]
    sought: dict[TP, int] = {}
    consumer = object.__new__(AIOKafkaConsumer)
    consumer._closed = True
    consumer._subscription = SimpleNamespace(assigned_partitions=lambda: set(places))
    consumer._fetcher = SimpleNamespace(seek_to=sought.__setitem__)

    async def committed(place: TP) -> int | None:
        return COMMITTED[place]

    consumer.committed = committed
    await consumer.seek_to_committed()
    assert sought == {places[0]: 7}
