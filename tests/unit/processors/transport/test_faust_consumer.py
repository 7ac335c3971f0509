"""Faust's consumer hands over what is fetched by partition, commits by offset, and loses nothing when it seeks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from paynotify.processors.transport.faust_consumer import FaustConsumer, FaustConsumerThread
from paynotify.processors.transport.faust_driver import FlowControl
from paynotify.processors.transport.streams import FetchedRecords

COMMITTED = {TP("observations", 0): 7, TP("observations", 1): None, TP("observations", 2): 0, TP("changelog", 1): None}


class Committed(FaustConsumer):
    """A consumer without brokers, which records where it seeks."""

    def __init__(self) -> None:
        self.sought: dict[TP, int] = {}

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic == "changelog")

    async def _seek(self, partition: TP, offset: int) -> None:
        self.sought[partition] = offset


async def test_partitions_without_a_commit_seek_to_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    async def committed(_: Any) -> Mapping[TP, int | None]:
        return COMMITTED

    monkeypatch.setattr(ThreadDelegateConsumer, "seek_to_committed", committed)
    consumer = Committed()
    assert await consumer.seek_to_committed() == COMMITTED
    assert consumer.sought == {TP("observations", 1): 0, TP("observations", 2): 0}


# --- handing over and committing --------------------------------------------------------------------------------

PLACE: Final = TP("observations", 0)
OTHER: Final = TP("observations", 1)
GENERATION: Final = 3
POLL_RECORDS: Final = 10


def raw_batch(offset: int, count: int) -> bytes:
    """A batch as the brokers store it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number in range(count):
        builder.append(number, timestamp=1_500, key=b"key", value=b"value", headers=[])
    batch = bytearray(builder.build())
    batch[0:8] = offset.to_bytes(8, "big")
    return bytes(batch)


class Client:
    """A client of aiokafka without brokers: its fetcher fetches nothing, and has what the test puts there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 1
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: None)
        self.subscriptions = SubscriptionState()
        self.subscriptions.subscribe({"observations"})
        self.subscriptions.assign_from_subscribed({TopicPartition(*PLACE), TopicPartition(*OTHER)})
        self.fetcher = Fetcher(self, self.subscriptions)

    def force_metadata_update(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def seek(self, tp: TP, offset: int) -> None:
        self.fetcher.seek_to(TopicPartition(*tp), offset)

    def bring(self, tp: TP, offset: int, count: int) -> None:
        """What the brokers respond to a fetch of this offset."""
        place = TopicPartition(*tp)
        memory = MemoryRecords(raw_batch(offset, count))
        records = PartitionRecords(place, memory, [], offset, None, None, True, READ_UNCOMMITTED)
        assignment = self.subscriptions.subscription.assignment
        self.fetcher._records[place] = FetchResult(place, assignment=assignment, partition_records=records, backoff=0)
        for waiter in self.fetcher._fetch_waiters:
            self.fetcher._notify(waiter)


class Working(FaustConsumer):
    """A consumer of two partitions, whose rebalances, records and commits are the test's."""

    def __init__(self) -> None:
        self.client = Client()
        self.queues: dict[TP, ThrowableQueue[FetchedRecords]] = {
            tp: ThrowableQueue(maxsize=4, flow_control=FlowControl()) for tp in (PLACE, OTHER)
        }
        self.app: Any = SimpleNamespace(
            consumer_generation_id=GENERATION,
            rebalancing_count=1,
            in_recovery=False,
            should_stop=False,
            conf=SimpleNamespace(broker_max_poll_records=POLL_RECORDS),
            topics=SimpleNamespace(_tp_index={tp: [SimpleNamespace(queue=one)] for tp, one in self.queues.items()}),
        )
        self.commits: list[dict[TP, int]] = []
        self.committed_on_brokers = {PLACE: 4, OTHER: 0}
        self._thread: Any = object.__new__(FaustConsumerThread)
        self._thread.consumer = self
        self._thread._consumer = SimpleNamespace(
            _fetcher=self.client.fetcher, _closed=False, _max_poll_records=POLL_RECORDS
        )
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self._active_partitions, self._paused_partitions = {PLACE, OTHER}, set()
        self._buffered_partitions: set[TP] = set()
        self._read_offset, self._committed_offset = {}, dict.fromkeys(self.queues)
        self._acknowledged, self._sought_after = {}, None
        self.assigned = {PLACE, OTHER}

    def assignment(self) -> set[TP]:
        return self.assigned

    async def seek_to_committed(self) -> Mapping[TP, int]:
        await asyncio.sleep(0)
        for tp, offset in self.committed_on_brokers.items():
            self.client.seek(tp, offset)
        return self.committed_on_brokers

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        await asyncio.sleep(0)
        return True

    async def begin(self) -> None:
        """As Faust does after a rebalance."""
        await self.perform_seek()
        self.resume_flow()

    async def fetch(self, offset: int, count: int) -> None:
        self.client.bring(PLACE, offset, count)
        assert await self._hand_over_next()

    def taken(self, tp: TP = PLACE) -> list[list[int]]:
        queue = self.queues[tp]
        return [[one.offset for one in queue.get_nowait().records] for _ in range(queue.qsize())]

    async def commit(self, *_: Any, **__: Any) -> bool:
        return await self._commit_tps(list(self._filter_tps_with_pending_acks()), start_new_transaction=False)

    async def _handle_attached(self, commit_offsets: Mapping[TP, int]) -> None:
        """Nothing is attached to a commit."""


@pytest.fixture
async def consumer() -> AsyncIterator[Working]:
    one = Working()
    await one.begin()
    yield one
    await one.client.fetcher.close()


async def test_fetch_is_handed_over_as_one_message_for_each_partition(consumer: Working) -> None:
    await consumer.fetch(4, 3)
    handed_over = consumer.queues[PLACE].get_nowait()
    assert [one.offset for one in handed_over.records] == [4, 5, 6]
    assert handed_over.generation == GENERATION
    assert (handed_over.records[0].timestamp_seconds, handed_over.records[0].headers) == (1.5, ())
    assert all(queue.empty() for queue in consumer.queues.values())


async def test_waiting_message_takes_later_records_until_it_is_full(consumer: Working) -> None:
    for offset in range(4, 4 + POLL_RECORDS + 2):
        await consumer.fetch(offset, 1)
    assert consumer.taken() == [list(range(4, 14)), [14, 15]]
    await consumer.fetch(16, 1)
    assert consumer.taken() == [[16]], "what was taken is not touched any more"


async def test_waiting_message_takes_no_records_of_another_generation(consumer: Working) -> None:
    await consumer.fetch(4, 1)
    consumer.app.consumer_generation_id += 1
    await consumer.fetch(5, 1)
    assert consumer.taken() == [[4], [5]]


async def test_records_of_a_paused_partition_stay_where_they_are(consumer: Working) -> None:
    consumer.pause_partitions({PLACE})
    consumer.client.bring(PLACE, 4, 3)
    consumer.client.bring(OTHER, 0, 1)
    assert await consumer._hand_over_next()
    assert (consumer.taken(), consumer.taken(OTHER)) == ([], [[0]])
    consumer.resume_partitions({PLACE})
    assert await consumer._hand_over_next()
    assert consumer.taken() == [[4, 5, 6]]


async def test_nothing_is_taken_while_no_partition_is_read(consumer: Working) -> None:
    """aiokafka takes no partitions for all of them."""
    consumer.pause_partitions({PLACE, OTHER})
    consumer.client.bring(PLACE, 4, 3)
    assert not await consumer._hand_over_next()
    consumer.resume_partitions({PLACE})
    assert await consumer._hand_over_next()
    assert consumer.taken() == [[4, 5, 6]]


async def test_nothing_is_handed_over_between_a_rebalance_and_its_seek(consumer: Working) -> None:
    """Some of it may go to no queue; what follows would then be committed past it."""
    consumer.app.rebalancing_count += 1  # Faust does not stop the flow if no partition was assigned before
    consumer.client.bring(PLACE, 4, 3)
    assert not await consumer._hand_over_next()
    await consumer.begin()
    consumer.client.bring(PLACE, 4, 3)
    assert await consumer._hand_over_next()
    assert consumer.taken() == [[4, 5, 6]]


async def test_seek_of_an_earlier_rebalance_does_not_count(consumer: Working) -> None:
    seeking = asyncio.ensure_future(consumer.begin())
    await asyncio.sleep(0)
    consumer.app.rebalancing_count += 1
    await seeking
    consumer.client.bring(PLACE, 4, 3)
    assert consumer.flow_active
    assert not await consumer._hand_over_next()


async def test_seek_does_not_wait_for_records(consumer: Working) -> None:
    async def drain() -> None:
        await consumer._drain_messages(SimpleNamespace(should_stop=False))

    consumer._stopped = consumer._crashed = asyncio.Event()  # type: ignore[assignment]
    draining = asyncio.ensure_future(drain())
    await asyncio.sleep(0.01)
    consumer.app.rebalancing_count += 1
    async with asyncio.timeout(0.5):
        await consumer.begin()
    consumer.client.bring(PLACE, 4, 3)
    async with asyncio.timeout(0.5):
        handed_over = await consumer.queues[PLACE].get()
    assert [one.offset for one in handed_over.records] == [4, 5, 6]
    consumer.app.should_stop = True
    draining.cancel()
    await draining


async def test_log_that_was_cut_is_read_from_where_it_begins(consumer: Working) -> None:
    """The client resets itself to an offset before the committed one; Faust would drop all records up to that."""
    await consumer.fetch(4, 3)
    consumer.client.seek(PLACE, 0)
    await consumer.fetch(0, 2)
    assert consumer.taken() == [[4, 5, 6, 0, 1]]


async def test_full_partition_is_not_fetched_until_there_is_room_again(consumer: Working) -> None:
    offset = 4
    while PLACE in consumer._get_active_partitions():
        await consumer.fetch(offset, POLL_RECORDS)
        offset += POLL_RECORDS
    assert consumer.queues[PLACE].qsize() == 4
    consumer.client.bring(PLACE, offset, 1)
    assert not await consumer._hand_over_next()
    waiting = asyncio.ensure_future(consumer._thread.wait_for_records())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(consumer.taken()) == 4
    async with asyncio.timeout(0.5):
        await waiting
    assert await consumer._hand_over_next()
    assert consumer.taken() == [[offset]]


async def test_acknowledged_offset_is_committed_once(consumer: Working) -> None:
    await consumer.fetch(4, 3)
    handed_over = consumer.queues[PLACE].get_nowait()
    handed_over.acknowledge(6)
    assert await consumer.commit()
    assert not await consumer.commit()
    handed_over.acknowledge(7)
    assert await consumer.commit()
    assert consumer.commits == [{PLACE: 6}, {PLACE: 7}]


async def test_acknowledgement_during_a_commit_is_committed_next(consumer: Working) -> None:
    await consumer.fetch(4, 3)
    handed_over = consumer.queues[PLACE].get_nowait()
    handed_over.acknowledge(6)
    committing = asyncio.ensure_future(consumer.commit())
    await asyncio.sleep(0)
    handed_over.acknowledge(7)
    assert await committing
    assert await consumer.commit()
    assert consumer.commits == [{PLACE: 6}, {PLACE: 7}]


async def test_acknowledgement_of_an_earlier_generation_is_not_committed(consumer: Working) -> None:
    await consumer.fetch(4, 2)
    handed_over = consumer.queues[PLACE].get_nowait()
    consumer.app.consumer_generation_id += 1
    handed_over.acknowledge(6)
    assert not await consumer.commit()


async def test_revoked_partition_is_not_committed(consumer: Working) -> None:
    await consumer.fetch(4, 2)
    consumer.queues[PLACE].get_nowait().acknowledge(6)
    consumer.assigned = {OTHER}
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
