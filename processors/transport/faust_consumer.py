"""Faust's consumer: one event loop for all apps, records by partition instead of one by one, and commits by offset.

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

from processors.transport.group_coordinator import StableGroupCoordinator
from processors.transport.streams import FetchedRecords
from schemas.records import Record

#: How long a fetch waits for records before it looks whether to stop.
_FETCH_SECONDS: Final = 1.0


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
        self._consumer._fetcher._fetcher_timeout = _FETCH_SECONDS

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        milliseconds = round(self.app.conf.producer_request_timeout * 1000)
        consumer._request_timeout_ms = consumer._client._request_timeout_ms = milliseconds
        return consumer

    def deliver_again(self) -> None:
        """Let a fetch that waits for new records look at those that are here already."""
        if self._consumer is not None:
            for waiter in list(self._consumer._fetcher._fetch_waiters):
                self._consumer._fetcher._notify(waiter)


class FaustConsumer(driver.Consumer):
    """Hands over what a fetch brings as one message for each partition, and commits by offset.

    Faust's consumer makes a message, an event and a task for each record, and commits by a list of all acknowledged
    offsets, in which it passes over a missing one (https://github.com/faust-streaming/faust/issues/606). Batches are
    acknowledged in order and without a hole (`processors.runtime.batches`), so here one offset says it all.

    It seeks to the committed offsets while no fetch is in progress, and to the beginning where there are none. After a
    rebalance some fetched records reach no stage, and the seek brings them again. Faust seeks while a fetch is still in
    progress: its later records then count as the newest read, and the earlier ones are dropped. Faust's own
    ``wait_for_stopped_flow`` returns at once, because the event it waits for is never cleared; no upstream issue is
    known. And aiokafka leaves a partition without a commit at its position, beyond the records that were lost:
    https://github.com/aio-libs/aiokafka/issues/1003.
    """

    _thread: FaustConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()
        #: Set while at least one partition's queue has room.
        self._room = asyncio.Event()
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

    @property
    def confirmed(self) -> bool:
        """Whether the group confirmed this member's heartbeat within the last session timeout."""
        client = self._thread._consumer
        coordinator = client._coordinator if client is not None else None
        return isinstance(coordinator, StableGroupCoordinator) and coordinator.confirmed

    # --- handing over ----------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)  # a fetch whose records are here already does not yield
                await self._hand_over_next()
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise

    async def _hand_over_next(self) -> None:
        fetched, active = await self._wait_next_records(_FETCH_SECONDS)
        if not self.flow_active:
            with suppress(Exception):
                await self.perform_seek()
            return
        generation = self.app.consumer_generation_id
        for place, records in fetched.items():
            tp = TP(place.topic, place.partition)
            if tp in active or tp in self._buffered_partitions:
                self._hand_over(tp, records, generation)

    def _hand_over(self, tp: TP, records: Sequence[Any], generation: int) -> None:
        expected = self._read_offset[tp]
        if expected is not None and records[0].offset < expected:
            records = [one for one in records if one.offset >= expected]
        if not records:
            return
        self._read_offset[tp] = records[-1].offset + 1
        fetched = FetchedRecords(
            [_record(one) for one in records], generation, partial(self._acknowledge, tp, generation)
        )
        for channel in self.app.topics._tp_index[tp]:  # type: ignore[attr-defined]  # private, see private_names
            # never waits: a partition under pressure is no longer fetched, and the group may revoke it meanwhile
            channel.queue.put_nowait_enhanced(
                fetched,
                on_pressure_high=partial(self.on_buffer_full, tp),
                on_pressure_drop=partial(self.on_buffer_drop, tp),
            )

    async def _wait_next_records(self, timeout: float) -> Any:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode waits for any event
        active = self._get_active_partitions()
        if not active:
            # Faust sleeps for a second here, with everything at rest meanwhile
            self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), timeout)
            return {}, active
        return await self._getmany(active, timeout), active

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._room.set()
        # aiokafka would wait for new records of the other partitions, with this one's in its hands
        self._thread.deliver_again()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._room.set()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        self._no_fetch.clear()
        try:
            return await super()._getmany(active_partitions, timeout)
        finally:
            self._no_fetch.set()

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
        """Seek to the committed offsets. The caller has stopped the flow, or is about to resume it."""
        self.stop_flow()
        await self._no_fetch.wait()
        await super().perform_seek()

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
