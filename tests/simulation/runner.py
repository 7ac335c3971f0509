"""A unit on the simulated brokers. The unit's own code makes its loops, claims its states and tells its time; what is
replaced is Faust: the group, the streams of records, and the commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from processors.metrics import Metrics
from processors.runtime.loop import StageLoop
from processors.runtime.runner import StageRunner, StageSpec
from processors.state.partition_state import PartitionState
from processors.transport.publisher import OutputPublisher
from schemas import topics
from tests.simulation.broker import Broker, Place, Stored
from tests.simulation.groups import SESSION_SECONDS, Group
from tests.simulation.states import Disk, SimulatedChangelog, Store


@dataclass(slots=True)
class App:
    """What batches and claims ask of Faust's app and of its consumer."""

    consumer: Any
    consumer_generation_id: int = 0
    should_stop: bool = False


class Delivered:
    """A record as a stream hands it over: the event, and its message in one."""

    __slots__ = (
        "_done",
        "generation_id",
        "headers",
        "key",
        "message",
        "offset",
        "partition",
        "timestamp",
        "topic",
        "value",
    )

    def __init__(self, stored: Stored, generation: int, done: Callable[[Place, int], None]) -> None:
        self.topic, self.partition, self.offset = stored.topic, stored.partition, stored.offset
        self.key, self.value, self.headers, self.timestamp = stored.key, stored.value, stored.headers, stored.timestamp
        self.generation_id = generation
        self.message = self
        self._done = done

    def ack(self) -> None:
        self._done((self.topic, self.partition), self.offset + 1)


class Stream:
    """One partition's records from an offset on: a stream, its channel and its queue in one."""

    def __init__(self, broker: Broker, client: Any, place: Place, offset: int, generation: int, done: Any) -> None:
        self.channel = self.queue = self
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

    async def get(self) -> Delivered:
        while self.empty():
            out_of_reach_seconds = self._broker.reachable_in(self._client)
            if out_of_reach_seconds > 0:
                await asyncio.sleep(out_of_reach_seconds + self._broker.delay(self._place[0], None))
                continue
            self._waits = self._broker.loop.create_future()
            self._broker.read_on(self._place, self._wake)
            await self._waits
        return self.get_nowait()

    def get_nowait(self) -> Delivered:
        stored = self._log[self._next]
        self._next += 1
        return Delivered(stored, self._generation, self._done)

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


class SimulatedUnit(StageRunner):
    """A unit of one process, and its membership in the unit's group."""

    def __init__(
        self,
        name: str,
        works: tuple[StageSpec, ...],
        process: Any,
        broker: Broker,
        group: Group,
        metrics: Metrics,
        loop_kind: type[StageLoop],
        wait_seconds: float,
    ) -> None:
        self.name = name
        self.number = process.number
        self.loops = {}
        self.app = App(self)
        self._confirmed_at = float("-inf")
        self._process = process
        self._broker = broker
        self._simulated_group = group
        self._loop_kind = loop_kind
        self._works = works
        self._metrics = metrics
        self._reached = process.reached
        self._stateful_sources = frozenset(topic for work in works if work.stateful for topic in work.sources)
        self._states: dict[int, PartitionState] = {}
        self._wait_seconds = wait_seconds
        self._publisher = OutputPublisher(process.producer)
        self._agents = {source: self._agent(work, source) for work in works for source in work.sources}
        self._streams: list[asyncio.Task[None]] = []
        self._done: dict[Place, int] = {}
        self._joining = 0
        self._putting_down = asyncio.Lock()

    # --- what the product's unit takes from Faust ---------------------------------------------------------

    def _state(self, partition: int) -> PartitionState:
        state = self._states.get(partition)
        if state is None:
            disk = self._process.disk.setdefault((self.name, partition), Disk())
            changelog = SimulatedChangelog(self._broker, self._process, (topics.changelog(self.name), partition))
            state = self._states[partition] = PartitionState(
                Store(disk), changelog, self._generation, repeatable=self._repeatable()
            )
        return state

    async def start(self) -> None:
        for work in self._works:
            if work.clock is not None:
                self._beside(self._tell_time(work.clock))
            if work.keeping is not None:
                self._beside(self._look_through(work.keeping))
        self._simulated_group.join(self)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._process.spawn(work)

    async def stop(self) -> None:
        """Finish what is at work, commit, leave the group."""
        self.app.should_stop = True
        await self._put_all_down()
        if not self._simulated_group.static:
            self._process.after(self._broker.delay(self.name, None), self._simulated_group.leave, self)
        await asyncio.gather(*(state.close() for state in self._states.values()))

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
        elif not self.app.should_stop:
            self._joining += 1
            self._put_down(self._joining)

    @property
    def confirmed(self) -> bool:
        """Whether this is still a member, by what was last heard of the group."""
        return self._broker.loop.now - self._confirmed_at < SESSION_SECONDS

    def commit(self) -> None:
        """Tell the group how far this process is."""
        reached = self._broker.reachable_in(self._process) == 0
        if self._done and reached and self._simulated_group.commit(self, self.app.consumer_generation_id, self._done):
            self._done = {}

    def _put_down(self, round_number: int) -> None:
        if round_number == self._joining:
            self._beside(self._join_again(round_number))

    async def _join_again(self, round_number: int) -> None:
        await self._put_all_down()
        if round_number == self._joining and not self.app.should_stop:
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
        if self.app.should_stop:
            return
        self.app.consumer_generation_id = generation
        self._confirmed_at = self._broker.loop.now
        self._claim_assigned(None, set(places))
        for place in places:
            offset = self._simulated_group.committed.get(place, 0)
            stream = Stream(self._broker, self._process, place, offset, generation, self._acknowledged)
            self._streams.append(self._process.spawn(self._agents[place[0]](stream)))

    def _acknowledged(self, place: Place, next_offset: int) -> None:
        if next_offset > self._done.get(place, 0):
            self._done[place] = next_offset
