"""The state of one partition and its ownership: a changelog in Kafka, and a local store that follows it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from paynotify.processors.state import timer_queue
from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.store import StateStore
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.records import Output
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.state")


class RetentionPolicy(Protocol):
    """How long values are retained, and in which form."""

    @property
    def state_format(self) -> int:
        """The format of the values that `apply` returns."""

    @property
    def pause_seconds(self) -> float:
        """The pause between the end of one pass over all values and the start of the next."""

    def apply(self, value: bytes) -> bytes | None:
        """The value to retain: the same object if unchanged, a shorter value, or None to delete it."""

    def farewell(self, key: bytes, value: bytes) -> Sequence[Output]:
        """What is published before the key's value is deleted. Of the same value it is always the same."""


class PartitionState:
    """One partition's state, for as long as this process owns the partition.

    Ownership is acquired once for each generation of the consumer group: another process may have owned the partition
    in between without this one noticing. Acquiring fences other processes out, then reads what they wrote, unless there
    was none. ``current`` returns the group's present generation, or None while the group may have moved on without this
    process. A batch of an earlier generation must not acquire the partition: nobody would own it until the next record.

    A ``deterministic`` stage computes its outputs from records and state alone. A process that lost the partition
    without knowing can then only publish what the next owner publishes too, and the brokers refuse it after that
    owner's records (`Changelog.publish`). For other stages, such as those that publish a provider's responses,
    ownership is verified with the brokers before and after processing.
    """

    def __init__(
        self,
        store: StateStore,
        changelog: Changelog,
        current: Callable[[], int | None] | None = None,
        *,
        deterministic: bool = False,
    ) -> None:
        self._store = store
        self._changelog = changelog
        self._current = current
        self._deterministic = deterministic
        self._generation: int | None = None
        self._exclusive = asyncio.Lock()
        self.progressed_at = 0.0

    async def acquire(self, generation: int) -> None:
        """Own the partition for this generation, with everything written before. Does nothing if it is owned already.

        Raises:
            aiokafka.errors.KafkaError: the brokers failed; try again.
            PartitionRevokedError: another process acquired it meanwhile, or the generation is not the present one.
        """
        async with self._exclusive:
            if self._current is not None and generation != self._current():
                raise PartitionRevokedError(
                    f"{self._changelog.name} is not acquired for the past generation {generation}"
                )
            if await self._still_owned(generation):
                return
            self._generation = None
            started = time.monotonic()
            await self._changelog.acquire()
            count = await self._changelog.catch_up(self._store, self._report_progress)
            self._generation = generation
            if count:
                event(
                    logger,
                    "state_restored",
                    changelog=self._changelog.name,
                    records=count,
                    seconds=round(time.monotonic() - started, 3),
                )

    async def _still_owned(self, generation: int) -> bool:
        """Whether no other process has acquired the partition since this one did.

        Acquiring again for each generation would cost every rebalance several broker connections for each partition
        that does not move.
        """
        if self._generation is None or self._changelog.must_be_reacquired:
            return False
        known, self._generation = self._generation, None
        if known != generation:
            try:
                await self._changelog.verify_ownership(force=True)
            except PartitionRevokedError:
                return False  # another process owned it in between
        elif not self._deterministic:
            await self._changelog.verify_ownership()
        self._generation = generation
        return True

    def _report_progress(self) -> None:
        self.progressed_at = time.monotonic()

    def owned(self, generation: int) -> bool:
        """Whether the partition was acquired for this generation and not lost since, as far as this process knows."""
        return self._generation == generation

    def get(self, key: bytes) -> bytes | None:
        """The key's durable value; None if there is none."""
        return self._store.get(key)

    def keys(self, prefix: bytes, before: bytes, limit: int) -> Sequence[bytes]:
        """The first ``limit`` keys that begin with ``prefix`` and sort before ``before``, in order."""
        return self._store.keys(prefix, before, limit)

    async def persist(self, generation: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Make changes durable at once: changelog, then store.

        Raises:
            PartitionRevokedError: the partition is not owned for this generation.
        """
        async with self.exclusive_write(generation) as write:
            await write.log(changes)
            write.store(changes)

    async def publish(self, generation: int, outputs: Sequence[Output]) -> None:
        """Publish at once what follows from persisted state. The brokers refuse it after a later owner's records.

        Raises:
            PartitionRevokedError: the partition is not owned for this generation.
        """
        async with self.exclusive_write(generation) as write:
            await write.publish(outputs)

    async def apply_retention(self, generation: int, policy: RetentionPolicy, after: bytes, limit: int) -> bytes | None:
        """Apply the policy to at most ``limit`` values after a key.

        Returns the key to continue after; None at the end.

        Raises:
            PartitionRevokedError: the partition is not owned for this generation.
            StateUnavailableError: the store cannot be read or written.
        """
        items = self._store.items_after(after, limit)
        # this first pass only decides whether there is anything to do; what it compresses is discarded
        if any(policy.apply(value) is not value for _, value in items):
            await self.acquire(generation)  # an ownership that is about to expire is renewed before it is used
            async with self.exclusive_write(generation) as write:
                # read again, now that no batch can write in between: a newer value must not be overwritten
                found = [(key, value) for key, _ in items if (value := self._store.get(key)) is not None]
                changes = _retained(policy, found)
                if changes:
                    # before the state, as a stage's outputs: once the value is gone, nobody knows that they are due
                    deleted = [(key, value) for key, value in found if changes.get(key, value) is None]
                    outputs = [one for key, value in deleted for one in policy.farewell(key, value)]
                    if outputs:
                        await write.publish(outputs)
                    await write.log(changes, policy.state_format)
                    write.store(changes, policy.state_format)
        return items[-1][0] if len(items) == limit else None

    @asynccontextmanager
    async def exclusive_write(self, generation: int) -> AsyncIterator[ExclusiveWrite]:
        """The exclusive right to publish and to change the state. Any failure within ends the ownership.

        Raises:
            PartitionRevokedError: the partition is not owned for this generation, or another process has acquired it.
        """
        async with self._exclusive:
            if self._generation != generation:
                raise PartitionRevokedError(f"{self._changelog.name} is not owned for generation {generation}")
            try:
                yield ExclusiveWrite(self._store, self._changelog, deterministic=self._deterministic)
            except BaseException:
                self._generation = None
                raise

    async def release(self) -> None:
        """Close files and connections until the partition is acquired again. Waits for a write in progress."""
        async with self._exclusive:
            await self.close()

    async def close(self) -> None:
        """Close files and connections at once, whatever is in progress."""
        self._generation = None
        await self._changelog.close()
        self._store.close()


def _retained(policy: RetentionPolicy, items: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes | None]:
    applied = ((key, value, policy.apply(value)) for key, value in items)
    return {key: after for key, value, after in applied if after is not value}


class ExclusiveWrite:
    """One batch's outputs, and its changes on their way into changelog and store."""

    def __init__(self, store: StateStore, changelog: Changelog, *, deterministic: bool) -> None:
        self._store = store
        self._changelog = changelog
        self._deterministic = deterministic
        self._next_offset = 0

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Returns when the brokers have acknowledged the outputs."""
        if not self._deterministic:
            await self._changelog.verify_ownership()
        await self._changelog.publish(outputs)

    async def log(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> None:
        """Returns when the brokers have acknowledged the changes."""
        self._next_offset = await self._changelog.write(timer_queue.cut_short_safely(changes), state_format)

    def store(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> None:
        """Write what was logged to the local store."""
        self._store.write(changes, self._next_offset, state_format)
