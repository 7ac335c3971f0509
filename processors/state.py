"""A stage's state: an in-memory overlay for the batch, over a partition's changelog in Kafka and its local store.

State that is ahead of its outputs is a loss: after a crash the record would look handled although its output was
never published. So a batch only writes to the overlay; the loop makes it durable after the outputs are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from processors.changelog import Changelog
from processors.publisher import Metadata
from processors.store import LocalStore
from processors.writer import Writer
from schemas.errors import PartitionLost
from schemas.records import Output
from service.logs import event

logger = logging.getLogger("paynotify.state")


class Values(Protocol):
    """What can be looked up."""

    def get(self, key: bytes) -> bytes | None: ...


class Overlay:
    """What a batch reads and writes: its own changes first, then the store."""

    def __init__(self, store: Values | None) -> None:
        self._store = store
        self._changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value, or none."""
        if key in self._changes:
            return self._changes[key]
        return self._store.get(key) if self._store is not None else None

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value for the rest of this batch and, once the batch is done, for good."""
        self._changes[key] = value

    @property
    def changes(self) -> Mapping[bytes, bytes | None]:
        """What this batch changed, one entry per key."""
        return self._changes

    def clear(self) -> None:
        """Forget what this batch changed, because its work starts over."""
        self._changes.clear()

    def merge(self, other: Overlay) -> None:
        """Take over another overlay's changes (a record handled alone)."""
        self._changes.update(other._changes)


class Branch(Overlay):
    """An overlay over an overlay: kept or thrown away as a whole."""

    def __init__(self, below: Overlay) -> None:
        super().__init__(None)
        self._below = below

    def get(self, key: bytes) -> bytes | None:
        return self._changes[key] if key in self._changes else self._below.get(key)


class PartitionState:
    """One partition's state while this process may hold the partition.

    Claimed once for each generation of the consumer group: another may have held the partition in between, without
    this process noticing. A claim keeps others out (where the writer can), then reads what they wrote.
    """

    def __init__(self, store: LocalStore, changelog: Changelog, writer: Writer) -> None:
        self._store = store
        self._changelog = changelog
        self._writer = writer
        self._generation: int | None = None
        self._turn = asyncio.Lock()

    async def claim(self, generation: int) -> None:
        """Hold the partition for this generation, with all that was written before.

        Raises:
            TimeoutError, aiokafka.errors.KafkaError: the brokers didn't answer.
        """
        async with self._turn:
            if self._generation == generation:
                return
            self._generation = None
            started = time.monotonic()
            await self._writer.take()
            count = await self._changelog.catch_up(self._store)
            self._generation = generation
            if count:
                event(logger, "state caught up", changelog=self._changelog.name, records=count,
                      seconds=round(time.monotonic() - started, 3))  # fmt: skip

    def held(self, generation: int) -> bool:
        """Whether the partition was claimed for this generation, and not lost since."""
        return self._generation == generation

    def get(self, key: bytes) -> bytes | None:
        return self._store.get(key)

    @asynccontextmanager
    async def turn(self, generation: int) -> AsyncIterator[Turn]:
        """The right to write, for one batch. Whatever goes wrong within, the partition must be claimed again.

        Raises:
            PartitionLost: not claimed for this generation, or taken by another meanwhile.
        """
        async with self._turn:
            if self._generation != generation:
                raise PartitionLost(f"{self._changelog.name} is not claimed for generation {generation}")
            try:
                yield Turn(self._store, self._changelog, self._writer)
            except BaseException:
                self._generation = None
                raise

    async def close(self) -> None:
        """Let go of the local files and of the writer."""
        self._generation = None
        await self._writer.close()
        self._store.close()


class Turn:
    """One batch's writing."""

    def __init__(self, store: LocalStore, changelog: Changelog, writer: Writer) -> None:
        self._store = store
        self._changelog = changelog
        self._writer = writer
        self._written: Sequence[Metadata] = ()

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Around `publish` and `log`; their records count when it has ended."""
        return self._writer.transaction()

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Returns when the brokers have the outputs."""
        await self._writer.publish(outputs)

    async def log(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Returns when the brokers have the state's changes."""
        self._written = await self._writer.publish(list(self._changelog.outputs(changes))) if changes else ()

    async def store(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write the local store, which never skips what others wrote to the changelog."""
        if not self._written:
            return
        offsets = sorted(one.offset for one in self._written)
        if self._writer.alone or offsets == list(range(self._store.next_offset or 0, offsets[-1] + 1)):
            self._store.write(changes, offsets[-1] + 1)
        else:
            await self._changelog.catch_up(self._store)
