"""The store of one partition's state: what a backend must provide. `RocksDBStore` is on disk, `MemoryStore` in memory.

Values and the changelog offset up to which they are complete are written together. So after a crash a store always
equals the changelog up to some offset, and recovery reads on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

#: The newest format of state values, in stores and changelogs, that this release reads. Members with a default may be
#: added within a format: an earlier release drops them when it rewrites the value. A change that must not be lost that
#: way increments the format. A value is written in the first format that can hold it; no format means the first.
STATE_FORMAT: Final = 2

#: Sorts before every key of a stage. No stage's key begins with a zero byte: those keys are the store's own.
FIRST_KEY: Final = b"\0\xff"


class SortedKeys(Protocol):
    """A state whose keys can be read in order."""

    def keys(self, prefix: bytes, before: bytes, limit: int) -> Sequence[bytes]:
        """The first ``limit`` keys that begin with ``prefix`` and sort before ``before``, in order."""


class StateStore(SortedKeys, Protocol):
    """The values of one partition, by key, in order of their keys.

    Every method raises `StateUnavailableError` if the backend cannot read or write.
    """

    @property
    def next_offset(self) -> int | None:
        """The first changelog offset that this store does not contain; None for an empty store."""

    def get(self, key: bytes) -> bytes | None:
        """The key's value; None if there is none."""

    def items_after(self, key: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """The first ``limit`` keys that sort after ``key``, with their values, in order."""

    def write(self, changes: Mapping[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        """Apply all changes and ``next_offset`` in one atomic write. A value of None deletes the key."""

    def loading(self) -> AbstractContextManager[None]:
        """A bulk load: its writes may be lost in a crash until the context ends, but never out of order."""

    def clear(self) -> None:
        """Delete everything: the changelog is no longer the one the store was filled from."""

    def close(self) -> None:
        """Release the backend's resources. The next use opens them again."""
