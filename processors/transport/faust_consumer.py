"""Faust's consumer: one event loop for all apps, records by partition instead of one by one, and commits by offset.

The way of a record, all of it in the process's own loop:

1. aiokafka's fetcher asks the brokers for records, and keeps what they respond with.
2. `FaustConsumer._drain_messages` takes what is there of the partitions that are being read, and puts it into their
   queues, as one message for each partition. Taking never waits, so whatever was taken reaches its queue at once.
3. `processors.runtime.batches` takes batches from a queue, and acknowledges an offset when a batch is durable.
4. Faust commits the acknowledged offsets every second.

A rebalance stops step 2. Faust then seeks to the committed offsets (`FaustConsumer.perform_seek`), and step 2 goes on.

Each class names what it prevents or saves. Upstream issues are named where one is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.futures import maybe_async

from paynotify.processors.transport.group_coordinator import StableGroupCoordinator
from paynotify.processors.transport.rebootstrap import is_replaced
from paynotify.processors.transport.streams import FetchedRecords
from paynotify.schemas.records import Record

#: How long at most nobody looks whether there are records. Whatever brings some wakes those who wait for them.
_WAIT_SECONDS: Final = 1.0


class _LoopOfTheProcess:
    """Runs Faust's consumer service in the process's event loop, in place of a thread (`FaustConsumerThread`)."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._serving = asyncio.ensure_future(self._service._serve())

    def stop(self) -> None:
        """The service has stopped when Faust calls this: there is no thread to join."""


class FaustConsumerThread(driver.AIOKafkaConsumerThread):
    """A consumer in the process's own event loop, whose requests time out like the producer's.

    Faust gives each app's consumer a thread with an event loop of its own. A worker has a dozen apps: their threads
    would wait for each other and for the main thread at every fetch, as only one of them runs at a time.

    Faust has one setting, ``broker_request_timeout``, for its requests and for its own recovery, which may take far
    longer. No upstream issue is known.
    """

    def __init__(self, consumer: Any, **settings: Any) -> None:
        super().__init__(consumer, thread_loop=asyncio.get_running_loop(), Worker=_LoopOfTheProcess, **settings)

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    async def _gather_remaining_tasks(self) -> None:
        """Faust cancels every task of the loop here, which is the whole process's."""

    async def _keepalive2(self) -> None:
        """Faust wakes the thread every second here."""

    async def on_start(self) -> None:
        await super().on_start()
        assert self._consumer is not None
        # aiokafka looks five times a second whether there is something to fetch; all that makes it so wakes it anyway
        self._consumer._fetcher._fetcher_timeout = _WAIT_SECONDS

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, unless that changes nothing: the whole group would rebalance for it.

        Faust subscribes again 45 s after a stream has ended while the group did not rebalance. So ends one whose last
        batch took longer than the rebalance that took its partition away. A group's topics never change.
        """
        wanted = frozenset(topics)
        if self._ensure_consumer().subscription() != wanted:
            await super().subscribe(wanted)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        milliseconds = round(self.app.conf.producer_request_timeout * 1000)
        consumer._request_timeout_ms = consumer._client._request_timeout_ms = milliseconds
        return consumer

    async def take_fetched(self, active: set[TP]) -> Mapping[Any, Sequence[Any]]:
        """Records of active partitions that are here already. Faust's own way there takes longer than to take them."""
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if not fetcher._records and not fetcher._closed:
            return {}
        taken: Mapping[Any, Sequence[Any]] = await self._fetch_records(
            consumer, active, timeout=0, max_records=consumer._max_poll_records
        )
        return taken

    async def wait_for_records(self) -> None:
        """Returns when the brokers have sent records, or somebody called `wake`."""
        fetcher = self._ensure_consumer()._fetcher
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                await fetcher._create_fetch_waiter()

    def wake(self) -> None:
        """Let who waits for records look at those that are here already."""
        if self._consumer is not None:
            fetcher = self._consumer._fetcher
            for waiter in list(fetcher._fetch_waiters):
                fetcher._notify(waiter)


class FaustConsumer(driver.Consumer):
    """Hands over what a fetch brings as one message for each partition, and commits by offset.

    Faust's consumer makes a message, an event and a task for each record, and commits by a list of all acknowledged
    offsets, in which it passes over a missing one (https://github.com/faust-streaming/faust/issues/606). Batches are
    acknowledged in order and without a hole (`processors.runtime.batches`), so here one offset says it all.

    That needs records to be handed over without a hole too, from the committed offset on. So after a rebalance nothing
    is handed over before the seek. And a fetch takes only what is here already, and only of partitions that are being
    read: Faust waits in it, and drops what comes after the partition was paused. A seek while Faust waits counts the
    later records as the newest read, and drops the earlier ones. Its own ``wait_for_stopped_flow`` returns at once,
    because the event it waits for is never cleared; no upstream issue is known.

    Partitions without a commit are read from their beginning. aiokafka's seek leaves them at their position, beyond
    records that were fetched before a rebalance: https://github.com/aio-libs/aiokafka/issues/1003.
    """

    _thread: FaustConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Faust's number of the last rebalance whose partitions are at their committed offsets; None during a seek.
        self._sought_after: int | None = None
        #: The offset to commit, by partition.
        self._acknowledged: dict[TP, int] = {}

    def _new_consumer_thread(self) -> FaustConsumerThread:
        return FaustConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def threadsafe_partitions_revoked(self, receiver_loop: Any, revoked: set[TP]) -> None:
        await self.on_partitions_revoked(revoked)

    async def threadsafe_partitions_assigned(
        self, receiver_loop: Any, assigned: set[TP], generation_id: int = 0
    ) -> None:
        await self.on_partitions_assigned(assigned, generation_id)

    def close(self) -> None:
        """Faust closes the client here when the group rebalances while the app stops.

        The last commit would never end then, and the group would wait for a session of this member, which could not
        leave. It leaves when it has stopped, a moment later.
        """

    @property
    def confirmed(self) -> bool:
        """Whether the group confirmed this member's heartbeat within the last session timeout."""
        client = self._thread._consumer
        coordinator = client._coordinator if client is not None else None
        return isinstance(coordinator, StableGroupCoordinator) and coordinator.confirmed

    @property
    def cluster_replaced(self) -> bool:
        """Whether there is another cluster now, to which nothing belongs that was read or is remembered here."""
        client = self._thread._consumer
        return client is not None and is_replaced(client._client.cluster)

    # --- handing over ----------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)  # the turn of others: taking records does not wait
                if not await self._hand_over_next():
                    await self._thread.wait_for_records()
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise

    async def _hand_over_next(self) -> bool:
        """Hand over some of the records that are here already. Returns whether there were any."""
        active = self._get_active_partitions()
        # no partitions would mean all of them to aiokafka
        if not (active and self.flow_active and self._sought_after == self.app.rebalancing_count):
            return False
        fetched = await self._thread.take_fetched(active)
        for place, records in fetched.items():
            self._hand_over(TP(place.topic, place.partition), records)
        return bool(fetched)

    def _hand_over(self, tp: TP, fetched: Sequence[Any]) -> None:
        """Put records into the partition's queue.

        This never waits: a partition whose queue is full is no longer fetched, and the group may revoke it meanwhile.
        """
        generation = self.app.consumer_generation_id
        message = FetchedRecords(
            [_record(one) for one in fetched], generation, partial(self._acknowledge, tp, generation)
        )
        for channel in self.app.topics._tp_index[tp]:  # type: ignore[attr-defined]  # private, see private_names
            if not self._added_to_last(message, channel.queue):
                channel.queue.put_nowait_enhanced(
                    message,
                    on_pressure_high=partial(self.on_buffer_full, tp),
                    on_pressure_drop=partial(self.on_buffer_drop, tp),
                )

    def _added_to_last(self, message: FetchedRecords, queue: Any) -> bool:
        """Add the records to the last message in the queue, if they fit.

        A queue is full with so many messages. If each had a single record, a partition with little to read would be
        full: aiokafka would then ask the broker for records of the others alone, and wait 1.5 seconds for them.
        """
        last = queue._queue[-1] if queue.qsize() else None
        if last is None or last.generation != message.generation:
            return False
        if len(last.records) + len(message.records) > self.app.conf.broker_max_poll_records:
            return False
        last.records.extend(message.records)
        return True

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._thread.wake()

    def resume_flow(self) -> None:
        super().resume_flow()
        self._thread.wake()

    # --- committing ------------------------------------------------------------------------------------------------

    def _acknowledge(self, tp: TP, generation: int, next_offset: int) -> None:
        """What an earlier generation acknowledges is fetched again in this one."""
        if generation == self.app.consumer_generation_id:
            self._acknowledged[tp] = next_offset

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter([tp for tp in self._acknowledged if topics is None or tp in topics or tp.topic in topics])

    def _new_offset(self, tp: TP) -> int | None:
        return self._acknowledged.get(tp)

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Faust draws a table of the offsets first, and flushes a producer that has nothing to flush by then."""
        assigned = self.assignment()
        present = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not present or not await self._commit(present):
            return False
        self._committed_offset.update(present)
        for tp, offset in present.items():
            if self._acknowledged.get(tp) == offset:
                del self._acknowledged[tp]
        return True

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._acknowledged.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def verify_all_partitions_active(self) -> None:
        """Faust logs partitions that stand still; `processors.runtime.stalls` judges them by their offsets."""

    # --- seeking ---------------------------------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Seek to the committed offsets. Faust calls this after each rebalance, and resumes the flow afterwards."""
        self.stop_flow()
        rebalance, self._sought_after = self.app.rebalancing_count, None
        await super().perform_seek()
        self._sought_after = rebalance

    async def seek_to_committed(self) -> Any:
        committed = await super().seek_to_committed()
        for tp, offset in committed.items():
            if not offset and not self._is_changelog_tp(tp):
                # the client resets itself if the log begins later; asking for its begin would wait behind a long fetch
                await self._seek(tp, 0)
        return committed


def _record(fetched: Any) -> Record:
    return Record(
        fetched.topic,
        fetched.partition,
        fetched.offset,
        fetched.key,
        fetched.value,
        tuple(fetched.headers or ()),
        (fetched.timestamp or 0) / 1000,
    )
