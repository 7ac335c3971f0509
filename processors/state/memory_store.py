"""A state store in memory, for tests and simulations. Closing it loses nothing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class MemoryStore:
    """A `StateStore` in a dictionary, with its keys in order."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._next_offset: int | None = None

    @property
    def next_offset(self) -> int | None:
        return self._next_offset

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def keys(self, prefix: bytes, before: bytes, limit: int) -> list[bytes]:
        start = bisect_left(self._keys, prefix)
        end = min(bisect_left(self._keys, before), start + limit)
        return [key for key in self._keys[start:end] if key.startswith(prefix)]

    def items_after(self, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        start = bisect_right(self._keys, key)
        return [(name, self.values[name]) for name in self._keys[start : start + limit]]

    def write(self, changes: Mapping[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        for key, value in changes.items():
            if value is None:
                self._delete(key)
            else:
                self._put(key, value)
        self._next_offset = next_offset

    def _put(self, key: bytes, value: bytes) -> None:
        if key not in self.values:
            insort(self._keys, key)
        self.values[key] = value

    def _delete(self, key: bytes) -> None:
        if self.values.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    @contextmanager
    def loading(self) -> Iterator[None]:
        yield

    def clear(self) -> None:
        self.values.clear()
        self._keys.clear()
        self._next_offset = None

    def close(self) -> None:
        """Nothing is open."""
