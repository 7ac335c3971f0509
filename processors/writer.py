"""Who may write a partition's outputs and changelog: anybody (`Open`), or only its newest holder (`Fenced`).

A worker that stood still (a frozen machine, a long pause) takes a partition for its own after another has taken it
over, until the group tells it otherwise. Stages whose repeats do no harm may write then. What resolve would write
then are two different events with one sequence number; so the brokers refuse it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaProducer

from processors.publisher import Metadata, Publisher
from schemas.errors import PartitionLost
from schemas.records import Output

_TAKE_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0

T = TypeVar("T")


class Writer(Protocol):
    """Writes for one partition. ``alone``: the brokers see to it that nobody else does."""

    alone: bool

    async def take(self) -> None:
        """Become the partition's only writer, where that matters. What others had begun is void from here on."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """All that is published within counts as a whole or, to those who read committed records, not at all."""

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Returns when the brokers have acknowledged all of them."""

    async def close(self) -> None:
        """Give up the connections."""


class Open:
    """Writes through the unit's one producer."""

    alone = False

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def take(self) -> None:
        """Nobody is kept out."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        return await self._publisher.publish(outputs)

    async def close(self) -> None:
        """The producer is the unit's."""


class Fenced:
    """Writes through a producer that all holders of the partition share by its transactional id.

    The brokers take records only from whoever asked for the id last; transactions are used for nothing else. Readers
    may read uncommitted records: what an aborted transaction held comes again, byte by byte the same (G5).

    After any failure the producer is given up: its next holder, this process or another, begins with `take`.
    """

    alone = True

    def __init__(self, settings: Mapping[str, Any], transactional_id: str) -> None:
        self._settings = settings
        self._transactional_id = transactional_id
        self._producer: Any = None
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> None:
        """
        Raises:
            TimeoutError: no coordinator answered in time.
            aiokafka.errors.KafkaError: the brokers can't be reached, or refuse the transactional id.
        """
        self._give_up()
        producer = AIOKafkaProducer(
            **self._settings, acks="all", enable_idempotence=True, transactional_id=self._transactional_id
        )
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                await producer.start()
        except BaseException:
            self._end(producer)
            raise
        self._producer = producer

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """
        Raises:
            PartitionLost: another process has taken the partition, or the brokers ended the transaction.
        """
        producer = self._producer
        if producer is None:
            raise PartitionLost(f"{self._transactional_id} is not held, take it first")
        try:
            await self._unless_fenced(producer, producer.begin_transaction())
            yield
            await self._unless_fenced(producer, producer.commit_transaction())
        except BaseException:
            self._give_up()
            raise

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Within a transaction only.

        Raises:
            PartitionLost: see `transaction`.
        """
        return await self._unless_fenced(self._producer, _acknowledged(self._producer, outputs))

    async def close(self) -> None:
        self._give_up()
        if self._closing:
            await asyncio.wait(self._closing, timeout=_STOP_SECONDS * 2)

    async def _unless_fenced(self, producer: Any, work: Coroutine[Any, Any, T]) -> T:
        """The work's result. A producer whose sender has died answers no call any more, so both are watched."""
        task = asyncio.ensure_future(work)
        sender = producer._sender.sender_task
        try:
            await asyncio.wait([task, sender], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise PartitionLost(f"{self._transactional_id} is held by another: {_why(sender)}")
            try:
                return task.result()
            except Exception as error:
                raise PartitionLost(f"{self._transactional_id} can't be written: {type(error).__name__}") from error
        finally:
            if not task.done():
                task.cancel()

    def _give_up(self) -> None:
        if self._producer is not None:
            self._end(self._producer)
            self._producer = None

    def _end(self, producer: Any) -> None:
        """Stop it beside the work: stopping waits for brokers that may be away."""
        task = asyncio.ensure_future(_stop(producer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _acknowledged(producer: Any, outputs: Sequence[Output]) -> list[Metadata]:
    waiting: list[Awaitable[Metadata]] = []
    try:
        for output in outputs:
            waiting.append(
                await producer.send(output.topic, output.value, output.key, output.partition, None,
                                    [(name, value) for name, value in output.headers])
            )  # fmt: skip
    finally:
        results = await asyncio.gather(*waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def _stop(producer: Any) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await producer.stop()
    except TimeoutError:
        # it waits for records that brokers don't take; those are the next holder's now
        if producer._sender.sender_task is not None:
            producer._sender.sender_task.cancel()
        await producer.client.close()


def _why(sender: asyncio.Task[None]) -> str:
    error = None if sender.cancelled() else sender.exception()
    return type(error).__name__
