"""A stage's state: an in-memory overlay for the batch, a changelog in Kafka, a local RocksDB store per partition.

State that is ahead of its outputs is a loss: after a crash the record would look handled although its output was
never published. So a batch only writes to the overlay; the loop makes it durable after the outputs are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import rocksdict

from schemas.records import Output

#: Under this key Faust keeps the changelog offset up to which the local store is complete.
_OFFSET_KEY: Final = b"__faust\0offset__"


class PartitionStore(Protocol):
    """The local store of one partition."""

    def get(self, key: bytes) -> bytes | None: ...

    def write(self, changes: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        """Apply all changes at once, together with the changelog offset that holds the last of them."""


class Overlay:
    """What a batch reads and writes: its own changes first, then the store."""

    def __init__(self, store: PartitionStore | None) -> None:
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


def changelog_outputs(topic: str, partition: int, changes: Mapping[bytes, bytes | None]) -> Iterator[Output]:
    """One changelog record per key, in the partition whose source caused the change."""
    return (Output(topic, key, value, (), partition) for key, value in changes.items())


class RocksStore:
    """One partition of a Faust table's RocksDB store, used directly.

    The table's own methods take the partition from the "current event", which a batch has not, and cost several
    times as much. Changes and changelog offset go into one write, so recovery never starts behind or ahead.
    """

    def __init__(self, table: Any, partition: int) -> None:
        self._store = table.data
        self._partition = partition

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._store._db_for_partition(self._partition).get(key)
        return value

    def write(self, changes: Mapping[bytes, bytes | None], changelog_offset: int) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_OFFSET_KEY, str(changelog_offset).encode())
        self._store._db_for_partition(self._partition).write(batch)
