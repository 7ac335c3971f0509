"""What the shops announced, as a process reads it: the product's own view, with a consumer of the simulated logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition

from paynotify.processors.orders.expectation_cache import ExpectationCache
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.schemas import topics
from tests.simulation.broker import Broker, Place, Stored
from tests.simulation.worker import Worker


class SimulatedExpectations(ExpectationCache):
    """Reads every record of the topic, from where the disk is."""

    def __init__(self, broker: Broker, worker: Worker) -> None:
        self._broker = broker
        self._worker = worker
        self._store = worker.disk.setdefault(("expectations", 0), MemoryStore())
        self._ready = asyncio.Event()

    def begin(self) -> None:
        self._worker.spawn(self._run())

    async def _read(self) -> None:
        await self._follow(_Consumer(self._broker, self._worker))

    async def _topic_partitions(self) -> list[Any]:
        return [TopicPartition(topics.EXPECTED, number) for number in range(self._broker.partitions(topics.EXPECTED))]


class _Fetched:
    """A record as aiokafka hands it over."""

    __slots__ = ("offset", "timestamp", "value")

    def __init__(self, stored: Stored) -> None:
        self.value, self.offset = stored.value, stored.offset
        self.timestamp = round(stored.timestamp * 1000)


class _Consumer:
    """The part of aiokafka's consumer that the view uses."""

    def __init__(self, broker: Broker, worker: Worker) -> None:
        self._broker = broker
        self._worker = worker
        self._next: dict[Place, int] = {}
        #: The logs that call when their next record comes.
        self._called_by: set[Place] = set()
        self._waits: asyncio.Future[None] | None = None

    def assign(self, places: Sequence[Place]) -> None:
        self._next = dict.fromkeys(places, 0)

    async def beginning_offsets(self, places: Sequence[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[Place]) -> dict[Place, int]:
        await self._message()
        return {place: len(self._broker.log(place)) for place in places}

    def seek(self, place: Place, position: int) -> None:
        self._next[place] = position

    async def position(self, place: Place) -> int:
        return self._next[place]

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[Place, list[_Fetched]]:
        await self._message()
        if not self._behind():
            for place in [place for place in self._next if place not in self._called_by]:
                self._called_by.add(place)
                self._broker.read_on(place, lambda place=place: self._wake(place))  # type: ignore[misc]  # bound now
            self._waits = self._broker.loop.create_future()
            await asyncio.wait([self._waits], timeout=timeout_ms / 1000)
        found: dict[Place, list[_Fetched]] = {}
        for place in self._behind():
            start = self._next[place]
            found[place] = [_Fetched(one) for one in self._broker.log(place)[start : start + max_records]]
            self._next[place] += len(found[place])
        return found

    def _behind(self) -> list[Place]:
        if self._broker.reachable_in(self._worker) > 0:
            return []
        return [place for place, position in self._next.items() if position < len(self._broker.log(place))]

    def _wake(self, place: Place) -> None:
        self._called_by.discard(place)
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    async def _message(self) -> None:
        await asyncio.sleep(self._broker.reachable_in(self._worker) + self._broker.delay(topics.EXPECTED, b"reader"))
