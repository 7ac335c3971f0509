"""A stage's state: an in-memory overlay for the batch, over a partition's changelog in Kafka and its local store.

State that is ahead of its outputs is a loss: after a crash the record would look handled although its output was
never published. So a batch only writes to the overlay; the loop makes it durable after the outputs are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from processors.state.changelog import Changelog
from processors.state.local_store import LocalStore
from schemas.errors import PartitionRevokedError, StateUnavailableError
from schemas.records import Output
from service.logs import event

logger = logging.getLogger("paynotify.state")


class Values(Protocol):
    """What can be looked up."""

    def get(self, key: bytes) -> bytes | None: ...


class RetentionPolicy(Protocol):
    """How long values are kept. ``state_format`` is that of the values it makes, ``rests_seconds`` how long after a
    pass over all values the next one may begin."""

    @property
    def state_format(self) -> int: ...

    @property
    def rests_seconds(self) -> float: ...

    def review(self, value: bytes) -> bytes | None:
        """What is to be kept of it: itself (the same object), something else, or nothing."""


#: Writes changes to the changelog and then to the store; raises `PartitionRevokedError` if the partition is another's.
Keep = Callable[[Mapping[bytes, bytes | None]], Awaitable[None]]

#: Publishes as the partition's holder; raises `PartitionRevokedError` if the partition is another's.
Tell = Callable[[Sequence[Output]], Awaitable[None]]


class Overlay:
    """What a batch reads and writes: its own changes first, then the store."""

    def __init__(self, store: Values | None, keep: Keep | None = None, tell: Tell | None = None) -> None:
        self._store = store
        self._keep = keep
        self._tell = tell
        self._changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value, or none."""
        if key in self._changes:
            return self._changes[key]
        return self._store.get(key) if self._store is not None else None

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value for the rest of this batch and, once the batch is done, for good."""
        self._changes[key] = value

    def remove(self, key: bytes) -> None:
        """Forget the value for the rest of this batch and, once the batch is done, for good."""
        self._changes[key] = None

    async def keep(self) -> None:
        """Make what was changed so far durable now, before something is done that can't be repeated.

        What is kept must not make a repeat of the batch leave out an output: publish those before.

        Raises:
            PartitionRevokedError: another process holds the partition; whatever was to be done is not ours to do.
        """
        if self._keep is None:
            raise StateUnavailableError("there is no state to keep anything in")
        if self._changes:
            await self._keep(dict(self._changes))
            self._changes.clear()

    async def tell(self, outputs: Sequence[Output]) -> None:
        """Publish now what follows from what was kept. Returns when the brokers have it.

        Raises:
            PartitionRevokedError: another process holds the partition, and has told what follows there.
        """
        if self._tell is None:
            raise StateUnavailableError("there is no state that anything could follow from")
        await self._tell(outputs)

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
        super().__init__(None, below._keep, below._tell)
        self._below = below

    def get(self, key: bytes) -> bytes | None:
        return self._changes[key] if key in self._changes else self._below.get(key)


class PartitionState:
    """One partition's state while this process may hold the partition.

    Claimed once for each generation of the consumer group: another may have held the partition in between, without
    this process noticing. A claim keeps the others out, then reads what they wrote, unless there were none. ``current``
    tells the generation of now, or none while the group may have gone on without us: a batch of an earlier one must not
    claim over it, or nobody would hold the partition until the next record.

    Where the work is ``repeatable``, outputs follow from records and state alone. Then whoever has lost the partition
    without knowing can only publish what its next holder will publish too, and is refused after that one's records
    (`Changelog.publish`). Of other work, such as what a provider answers, the brokers are asked before it and after it.
    """

    def __init__(
        self,
        store: LocalStore,
        changelog: Changelog,
        current: Callable[[], int | None] | None = None,
        *,
        repeatable: bool = False,
    ) -> None:
        self._store = store
        self._changelog = changelog
        self._current = current
        self._repeatable = repeatable
        self._generation: int | None = None
        self._turn = asyncio.Lock()
        self.moved_at = 0.0

    async def claim(self, generation: int) -> None:
        """Hold the partition for this generation, with all that was written before; or see to it that it is held.

        Raises:
            aiokafka.errors.KafkaError, PartitionRevokedError: try again.
        """
        async with self._turn:
            if self._current is not None and generation != self._current():
                raise PartitionRevokedError(
                    f"{self._changelog.name} is not asked for in generation {generation} any more"
                )
            if await self._still_held(generation):
                return
            self._generation = None
            started = time.monotonic()
            await self._changelog.take()
            count = await self._changelog.catch_up(self._store, self._moved)
            self._generation = generation
            if count:
                event(
                    logger,
                    "state_restored",
                    changelog=self._changelog.name,
                    records=count,
                    seconds=round(time.monotonic() - started, 3),
                )

    async def _still_held(self, generation: int) -> bool:
        """Whether nobody has taken it since it was last claimed. To take it anew for each generation of the group
        would cost every rebalance several connections to the brokers for each partition that stays where it is.
        """
        if self._generation is None or self._changelog.taken_long_ago:
            return False
        known, self._generation = self._generation, None
        if known != generation:
            try:
                await self._changelog.confirm(anew=True)
            except PartitionRevokedError:
                return False  # it was another's in between
        elif not self._repeatable:
            await self._changelog.confirm()
        self._generation = generation
        return True

    def _moved(self) -> None:
        self.moved_at = time.monotonic()

    def held(self, generation: int) -> bool:
        """Whether the partition was claimed for this generation, and not lost since."""
        return self._generation == generation

    def get(self, key: bytes) -> bytes | None:
        return self._store.get(key)

    def first(self, prefix: bytes, below: bytes, most: int) -> Sequence[bytes]:
        """The first keys that begin with ``prefix`` and come before ``below``, in order."""
        return self._store.first(prefix, below, most)

    async def remember(self, generation: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Make changes durable at once: changelog, then store.

        Raises:
            PartitionRevokedError: not claimed for this generation, or taken by another meanwhile.
        """
        async with self.turn(generation) as turn:
            await turn.log(changes)
            turn.store(changes)

    async def tell(self, generation: int, outputs: Sequence[Output]) -> None:
        """Publish at once what follows from what was remembered: refused where a later holder has written since.

        Raises:
            PartitionRevokedError: as `remember`.
        """
        async with self.turn(generation) as turn:
            await turn.publish(outputs)

    async def review(self, generation: int, keeping: RetentionPolicy, after: bytes, most: int) -> bytes | None:
        """Shorten or remove what is kept for too long, of at most so many keys after the one named.

        Returns the key to go on after; none at the end.

        Raises:
            PartitionRevokedError, StateUnavailableError: as `turn`, and as the store's reading and writing.
        """
        items = self._store.after(after, most)
        # of the first look only whether there is anything to do is wanted: what is compressed here is thrown away
        if any(keeping.review(value) is not value for _, value in items):
            await self.claim(generation)  # an old hold is taken anew before it is used
            async with self.turn(generation) as turn:
                # read anew now that nobody else writes: news must not be undone by what was there before
                found = [(key, self._store.get(key)) for key, _ in items]
                changes = _changed(keeping, [(key, value) for key, value in found if value is not None])
                if changes:
                    await turn.log(changes, keeping.state_format)
                    turn.store(changes, keeping.state_format)
        return items[-1][0] if len(items) == most else None

    @asynccontextmanager
    async def turn(self, generation: int) -> AsyncIterator[ExclusiveWrite]:
        """The right to publish and to change the state, for one batch. After any failure within, claim again.

        Raises:
            PartitionRevokedError: not claimed for this generation, or taken by another meanwhile.
        """
        async with self._turn:
            if self._generation != generation:
                raise PartitionRevokedError(f"{self._changelog.name} is not claimed for generation {generation}")
            try:
                yield ExclusiveWrite(self._store, self._changelog, repeatable=self._repeatable)
            except BaseException:
                self._generation = None
                raise

    async def release(self) -> None:
        """Let go of the local files and of the brokers, until the next claim."""
        async with self._turn:
            await self.close()

    async def close(self) -> None:
        """Let go at once, whatever is going on."""
        self._generation = None
        await self._changelog.close()
        self._store.close()


def _changed(keeping: RetentionPolicy, items: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes | None]:
    kept = ((key, value, keeping.review(value)) for key, value in items)
    return {key: after for key, value, after in kept if after is not value}


class ExclusiveWrite:
    """One batch's outputs, and its changes on their way into changelog and store."""

    def __init__(self, store: LocalStore, changelog: Changelog, *, repeatable: bool) -> None:
        self._store = store
        self._changelog = changelog
        self._repeatable = repeatable
        self._next_offset = 0

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Returns when the brokers have the batch's outputs."""
        if not self._repeatable:
            await self._changelog.confirm()
        await self._changelog.publish(outputs)

    async def log(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> None:
        """Returns when the brokers have the changes."""
        self._next_offset = await self._changelog.write(changes, state_format)

    def store(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> None:
        """Write what was logged to the local store."""
        self._store.write(changes, self._next_offset, state_format)
