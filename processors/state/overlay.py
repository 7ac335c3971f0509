"""What a stage reads and writes during a batch: its own uncommitted changes over the partition's state.

State that is ahead of its outputs is a loss: after a crash the record would look processed although its output was
never published. So a batch only writes to the overlay, and the loop makes it durable after the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from paynotify.schemas.errors import StateUnavailableError
from paynotify.schemas.records import Output


class Readable(Protocol):
    """Values by key."""

    def get(self, key: bytes) -> bytes | None: ...


class StateOwner(Protocol):
    """The partition's owner, for what must be durable before the batch ends.

    Both methods raise `PartitionRevokedError` if another process has acquired the partition.
    """

    async def persist(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write the changes to the changelog, then to the store."""

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish with the partition's fenced producer."""


class Overlay:
    """A batch's changes, and below them the store or another overlay."""

    def __init__(self, below: Readable | None, owner: StateOwner | None = None) -> None:
        self._below = below
        self._owner = owner
        self._changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value; None if there is none."""
        if key in self._changes:
            return self._changes[key]
        return self._below.get(key) if self._below is not None else None

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value for the rest of this batch and, once the batch is durable, for good."""
        self._changes[key] = value

    def delete(self, key: bytes) -> None:
        """Delete the value for the rest of this batch and, once the batch is durable, for good."""
        self._changes[key] = None

    async def persist(self) -> None:
        """Make the changes so far durable now, before a side effect that cannot be repeated.

        Persisted state must not make a repeat of the batch omit an output: publish such outputs before.

        Raises:
            PartitionRevokedError: another process owns the partition; this one must not cause the side effect.
            StateUnavailableError: the stage is stateless.
        """
        if self._owner is None:
            raise StateUnavailableError("a stateless stage has no state to persist")
        if self._changes:
            await self._owner.persist(dict(self._changes))
            self._changes.clear()

    async def publish_as_owner(self, outputs: Sequence[Output]) -> None:
        """Publish now what follows from the persisted state. Returns when the brokers have acknowledged it.

        Raises:
            PartitionRevokedError: another process owns the partition and publishes what follows from its state.
            StateUnavailableError: the stage is stateless.
        """
        if self._owner is None:
            raise StateUnavailableError("a stateless stage owns no state that an output could follow from")
        await self._owner.publish(outputs)

    @property
    def changes(self) -> Mapping[bytes, bytes | None]:
        """The changes not yet durable, one entry per key; None deletes."""
        return self._changes

    def clear(self) -> None:
        """Discard the changes, because the batch's processing starts over."""
        self._changes.clear()

    def branch(self) -> Overlay:
        """An overlay over this one: merged or discarded as a whole."""
        return Overlay(self, self._owner)

    def merge(self, branch: Overlay) -> None:
        """Apply a branch's changes."""
        self._changes.update(branch.changes)
