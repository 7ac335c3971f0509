"""A stage runner on the simulated brokers. The product's own code creates the loops, acquires their states and
publishes due timers; what is replaced is Faust: the group, the streams of records, and the commits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.partition_loops import LoopSettings, PartitionLoops
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.processors.transport.streams import FetchedRecords, RecordChannel, RecordQueue
from paynotify.schemas import topics
from paynotify.schemas.records import Record
from tests.simulation.broker import Broker, Place
from tests.simulation.groups import SESSION_SECONDS, Group
from tests.simulation.states import SimulatedChangelog

#: A fetch brings no more records than this: fewer than a batch takes, and more than one.
_FETCHED_RECORDS: Final = 3


class Stream:
    """One partition's records from an offset on: a stream, its channel and its queue in one."""

    def __init__(self, broker: Broker, client: Any, place: Place, offset: int, generation: int, done: Any) -> None:
        self.queue: RecordQueue = self
        self.channel: RecordChannel = self
        self._broker = broker
        self._client = client
        self._place = place
        self._log = broker.log(place)
        self._next = offset
        self._generation = generation
        self._done = done
        self._waits: asyncio.Future[None] | None = None

    def on_stop_iteration(self) -> None:
        """There is nothing to take leave of."""

    def empty(self) -> bool:
        return self._next >= len(self._log) or self._broker.reachable_in(self._client) > 0

    async def get(self) -> FetchedRecords:
        while self.empty():
            out_of_reach_seconds = self._broker.reachable_in(self._client)
            if out_of_reach_seconds > 0:
                await asyncio.sleep(out_of_reach_seconds + self._broker.delay(self._place[0], None))
                continue
            self._waits = self._broker.loop.create_future()
            self._broker.read_on(self._place, self._wake)
            await self._waits
        return self.get_nowait()

    def get_nowait(self) -> FetchedRecords:
        stored = self._log[self._next : self._next + _FETCHED_RECORDS]
        self._next += len(stored)
        return FetchedRecords([Record(*one) for one in stored], self._generation, partial(self._done, self._place))

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


class SimulatedRunner:
    """A stage runner of one process, and its membership in the stage's group."""

    def __init__(
        self,
        name: str,
        specs: tuple[StageSpec, ...],
        process: Any,
        broker: Broker,
        group: Group,
        metrics: Metrics,
        settings: LoopSettings,
    ) -> None:
        self.name = name
        self.number = process.number
        self.generation = 0
        self.stopping = False
        self._confirmed_at = float("-inf")
        self._process = process
        self._broker = broker
        self._simulated_group = group
        self._loops = PartitionLoops(
            specs,
            self,
            OutputPublisher(process.producer, process.brokers_clock),
            metrics,
            settings,
            self._create_storage,
            process.spawn,
        )
        self._specs = {source: spec for spec in specs for source in spec.sources}
        self._streams: list[asyncio.Task[None]] = []
        self._done: dict[Place, int] = {}
        self._joining = 0
        self._putting_down = asyncio.Lock()

    # --- what the product's runner takes from Faust -------------------------------------------------------

    def _create_storage(self, partition: int) -> tuple[MemoryStore, SimulatedChangelog]:
        store = self._process.disk.setdefault((self.name, partition), MemoryStore())
        return store, SimulatedChangelog(self._broker, self._process, (topics.changelog(self.name), partition))

    async def start(self) -> None:
        self._loops.start_periodic()
        self._simulated_group.join(self)

    async def stop(self) -> None:
        """Finish the batches in progress, commit, leave the group."""
        self.stopping = True
        await self._put_all_down()
        if not self._simulated_group.static:
            self._process.after(self._broker.delay(self.name, None), self._simulated_group.leave, self)
        await self._loops.close()

    # --- the group ----------------------------------------------------------------------------------------

    def ask_to_join(self, round_number: int) -> None:
        self._joining = round_number
        self._process.after(
            self._broker.delay(self.name, None) + self._process.heartbeat(), self._put_down, round_number
        )

    def assign(self, generation: int, places: Sequence[Place]) -> None:
        self._process.after(self._broker.delay(self.name, None), self._begin, generation, tuple(places))

    def look_around(self) -> None:
        """A heartbeat: whoever was put out of the group learns it now."""
        if self._simulated_group.has(self):
            self._confirmed_at = self._broker.loop.now
        elif not self.stopping:
            self._joining += 1
            self._put_down(self._joining)

    @property
    def confirmed(self) -> bool:
        """Whether this is still a member, by what was last heard of the group."""
        return self._broker.loop.now - self._confirmed_at < SESSION_SECONDS

    def commit(self) -> None:
        """Tell the group how far this process is."""
        reached = self._broker.reachable_in(self._process) == 0
        if self._done and reached and self._simulated_group.commit(self, self.generation, self._done):
            self._done = {}

    def _put_down(self, round_number: int) -> None:
        if round_number == self._joining:
            self._process.spawn(self._join_again(round_number))

    async def _join_again(self, round_number: int) -> None:
        await self._put_all_down()
        if round_number == self._joining and not self.stopping:
            self._simulated_group.join(self)

    async def _put_all_down(self) -> None:
        async with self._putting_down:
            streams, self._streams = self._streams, []
            for task in streams:
                task.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            self.commit()
            self._done = {}

    def _begin(self, generation: int, places: tuple[Place, ...]) -> None:
        if generation != self._simulated_group.generation or not self._simulated_group.has(self):
            return
        if self.stopping:
            return
        self.generation = generation
        self._confirmed_at = self._broker.loop.now
        self._loops.assigned(set(places))
        for place in places:
            offset = self._simulated_group.committed.get(place, 0)
            stream = Stream(self._broker, self._process, place, offset, generation, self._acknowledged)
            self._streams.append(self._process.spawn(self._loops.run(self._specs[place[0]], place[0], stream)))

    def _acknowledged(self, place: Place, next_offset: int) -> None:
        if next_offset > self._done.get(place, 0):
            self._done[place] = next_offset
