"""What the stages' state is stored in: a memory store for the local disk, the simulated brokers for the changelog.

Only the clients are replaced. How a state is acquired, verified, logged, stored and caught up is the product's code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.store import StateStore
from paynotify.processors.transport.batch_writer import all_done
from paynotify.processors.transport.fenced_producer import FencedProducer
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.records import Output
from tests.simulation.broker import Broker, Place, ProducedBatch, Stored

_TAKE_SECONDS: Final = 30.0


class SimulatedFence(FencedProducer):
    """A producer with an epoch: the newest one may write, all others are refused. Any failure ends a hold."""

    def __init__(self, broker: Broker, client: Any, place: Place) -> None:
        self._broker = broker
        self._client = client
        self._at = place
        self._epoch: int | None = None
        self._written_at = self._acquired_at = float("-inf")

    def age_seconds(self) -> float:
        return self._broker.loop.now - self._acquired_at

    def seconds_since_written(self) -> float:
        return self._broker.loop.now - self._written_at

    async def acquire(self) -> None:
        self._epoch = None
        asked_at = self._broker.loop.now
        done: asyncio.Future[int] = self._broker.loop.create_future()
        self._broker.loop.call_without_process(
            self._broker.reachable_in(self._client) + self._broker.delay(*_named(self._at)), self._next, done
        )
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                self._epoch = await done
        except TimeoutError:
            raise PartitionRevokedError("could not be taken in time") from None  # and yet it may be, a moment later
        self._acquired_at = asked_at
        self._written_at = float("-inf")

    def _next(self, done: asyncio.Future[int]) -> None:
        epoch = self._broker.next_epoch(self._at)
        self._broker.loop.call_without_process(self._broker.delay(*_named(self._at)), _resolve, done, epoch)

    async def write(self, outputs: Sequence[Output]) -> int:
        sent_at = self._broker.loop.now
        (batch,) = await self._send(outputs)
        self._written_at = sent_at
        return int(batch.acknowledged.result().offset) + 1

    async def publish(self, outputs: Sequence[Output]) -> None:
        await self._send(outputs)

    async def _send(self, outputs: Sequence[Output]) -> list[ProducedBatch]:
        if self._epoch is None:
            raise PartitionRevokedError("not acquired")
        batches: dict[Place, ProducedBatch] = {}
        for one in outputs:
            place = self._broker.place(one.topic, one.key) if one.partition is None else (one.topic, one.partition)
            batch = batches.get(place)
            if batch is None:
                done: asyncio.Future[Any] = self._broker.loop.create_future()
                batch = batches[place] = ProducedBatch(self, [], done, (self._at, self._epoch))
            batch.records.append((one.key, one.value, one.headers))
        for place, batch in batches.items():
            self._broker.send(self._client, place, batch)
        try:
            await all_done([batch.acknowledged for batch in batches.values()])
            for batch in batches.values():
                batch.acknowledged.result()
            return list(batches.values())
        except BaseException as error:
            self._epoch = None
            self._written_at = self._acquired_at = float("-inf")
            if isinstance(error, Exception):
                raise PartitionRevokedError(f"can't be written any more: {type(error).__name__}") from error
            raise

    async def close(self) -> None:
        self._epoch = None
        self._written_at = self._acquired_at = float("-inf")


def _named(place: Place) -> tuple[str, bytes]:
    return place[0], b"%d" % place[1]


def _resolve(done: asyncio.Future[int], value: int) -> None:
    if not done.done():
        done.set_result(value)


class SimulatedChangelog(Changelog):
    """The product's changelog over the simulated brokers."""

    def __init__(self, broker: Broker, client: Any, place: Place) -> None:
        super().__init__({}, *place, producer=SimulatedFence(broker, client, place))
        self._reader = partial(_Reader, broker, client, place)

    async def catch_up(self, store: StateStore, on_progress: Callable[[], None] = lambda: None) -> int:
        return await self._read(self._reader(), store, on_progress)


class _Reader:
    """The part of a consumer with which a changelog is read to its end."""

    def __init__(self, broker: Broker, client: Any, place: Place) -> None:
        self._broker = broker
        self._client = client
        self._at = place
        self._next = 0

    async def beginning_offsets(self, places: Sequence[Any]) -> dict[Any, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Sequence[Any]) -> dict[Any, int]:
        await asyncio.sleep(self._broker.reachable_in(self._client) + self._broker.delay(*_named(self._at)))
        return dict.fromkeys(places, len(self._broker.log(self._at)))

    def seek(self, place: Any, position: int) -> None:
        self._next = position

    async def getmany(self, place: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Stored]]:
        await asyncio.sleep(self._broker.reachable_in(self._client) + self._broker.delay(*_named(self._at)))
        found = list(self._broker.log(self._at)[self._next : self._next + max_records])
        self._next += len(found)
        return {place: found}

    async def position(self, place: Any) -> int:
        return self._next
