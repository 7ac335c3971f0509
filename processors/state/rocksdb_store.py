"""A state store on the local disk, in RocksDB.

The directory is a cache: if it is lost or deleted, the store is filled again from the changelog.
"""

from __future__ import annotations

import shutil
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import rocksdict

from paynotify.processors.state.store import STATE_FORMAT
from paynotify.schemas.errors import StateUnavailableError

_NEXT_OFFSET: Final = b"\0changelog-next-offset"
_FORMAT: Final = b"\0format"

# Many small stores share one process, and RocksDB's defaults would let each grow to gigabytes. A shared limit on the
# write buffers does not work: once idle stores have filled it, each write to another store becomes a file of its own.
_CACHE_BYTES: Final = 32 * 1024 * 1024
_WRITE_BUFFER_BYTES: Final = 1024 * 1024
_WRITE_BUFFERS: Final = 2
_FILE_BYTES: Final = 8 * 1024 * 1024
_OPEN_FILES: Final = 64
_BLOOM_BITS: Final = 10
#: The write buffer of a bulk load: most of the cost of a value is RocksDB's compaction of small files.
_LOADING_BUFFER_BYTES: Final = 4 * 1024 * 1024

#: The time of writing, in Unix time, appended to each value of a store with a retention time.
_WRITTEN: Final = struct.Struct("<i")
#: Each write examines this many keys, until all have been; the next sweep begins after this fraction of the retention.
_SWEEP_KEYS: Final = 100
_SWEEPS_PER_RETENTION: Final = 10


class RocksDBStore:
    """A `StateStore`. Opened on first use; one process at a time can have it open.

    A value is retained for at least ``retention_seconds``; None retains it for ever. RocksDB's own expiry is not used:
    a database opened with it a second time, by rocksdict 0.3.29, loses a third of all values, of any age, with each
    compaction.
    """

    def __init__(
        self, directory: Path, retention_seconds: int | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._keep_seconds = retention_seconds
        self._now = now
        self._open: rocksdict.Rdict | None = None
        self._loading = False
        self._sweep_at = 0.0
        self._swept_to: bytes | None = None

    def _values(self) -> rocksdict.Rdict:
        if self._open is None:
            self._directory.parent.mkdir(parents=True, exist_ok=True)
            self._open = rocksdict.Rdict(str(self._directory), options=_options())
            if self._is_from_a_later_release(self._open):
                # the changelog holds the same values, and reading it reports the later format
                self.clear()
                return self._values()
        return self._open

    def _is_from_a_later_release(self, values: rocksdict.Rdict) -> bool:
        found: bytes | None = values.get(_FORMAT)
        return found is not None and found[0] > STATE_FORMAT

    @property
    def next_offset(self) -> int | None:
        """The first changelog offset that this store does not contain; None for an empty store."""
        text = self.get(_NEXT_OFFSET)
        return int(text) if text is not None else None

    def get(self, key: bytes) -> bytes | None:
        """The key's value; None if there is none.

        Raises:
            StateUnavailableError: the files cannot be read.
        """
        try:
            value: bytes | None = self._values().get(key)
        except Exception as error:  # RocksDB's errors have no class of their own
            raise StateUnavailableError(f"{self._directory.name} cannot be read ({_kind(error)})") from error
        return value if value is None or self._keep_seconds is None else value[: -_WRITTEN.size]

    def keys(self, prefix: bytes, before: bytes, limit: int) -> list[bytes]:
        """The first ``limit`` keys that begin with ``prefix`` and sort before ``before``, in order.

        Raises:
            StateUnavailableError: the files cannot be read.
        """
        found: list[bytes] = []
        # without the bound, reading an empty range ends only at the next existing key, past all deleted ones
        until = rocksdict.ReadOptions()
        until.set_iterate_upper_bound(before)
        try:
            keys: Iterator[Any] = self._values().keys(from_key=prefix, read_opt=until)
            for key in keys:
                if len(found) >= limit or not key.startswith(prefix) or key >= before:
                    break
                found.append(key)
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} cannot be read ({_kind(error)})") from error
        return found

    def items_after(self, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The first ``limit`` keys that sort after ``key``, with their values, in order.

        Raises:
            StateUnavailableError: the files cannot be read.
        """
        try:
            items: Iterator[Any] = self._values().items(from_key=key + b"\0")
            found = [(bytes(name), bytes(value)) for name, value in islice(items, limit)]
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} cannot be read ({_kind(error)})") from error
        end = None if self._keep_seconds is None else -_WRITTEN.size
        return [(name, value[:end]) for name, value in found]

    def write(self, changes: Mapping[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        """Apply all changes and ``next_offset`` in one atomic write. A value of None deletes the key.

        Raises:
            StateUnavailableError: the files cannot be written.
        """
        batch = rocksdict.WriteBatch(raw_mode=True)
        written = b"" if self._keep_seconds is None else _WRITTEN.pack(int(self._now()))
        try:
            for key in self._expired():
                batch.delete(key)
            # after the expired keys are deleted: a key that is written again stays
            for key, value in changes.items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value + written)
            batch.put(_NEXT_OFFSET, str(next_offset).encode() + written)
            if state_format > 1:
                batch.put(_FORMAT, bytes([state_format]) + written)
            self._values().write(batch, _write_options(loading=self._loading))
        except Exception as error:
            raise StateUnavailableError(f"{self._directory.name} cannot be written ({_kind(error)})") from error

    @contextmanager
    def loading(self) -> Iterator[None]:
        """A bulk load of values that can be read again from the changelog.

        Writes skip the write-ahead log, and compaction waits until the end. A crash within leaves a prefix of the
        writes, as it does without a bulk load. When the context ends, all of them are on disk.

        Raises:
            StateUnavailableError: the files cannot be written.
        """
        self._set(write_buffer_size=_LOADING_BUFFER_BYTES, disable_auto_compactions="true")
        self._loading = True
        try:
            yield
        finally:
            self._loading = False
            # flush first: a later write that survives a crash by its log, after one without log that does not, is a gap
            self._set(flush=True, write_buffer_size=_WRITE_BUFFER_BYTES, disable_auto_compactions="false")

    def _set(self, *, flush: bool = False, **options: object) -> None:
        try:
            values = self._values()
            if flush:
                values.flush()
            values.set_options({name: str(value) for name, value in options.items()})
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} cannot be written ({_kind(error)})") from error

    def _expired(self) -> list[bytes]:
        """Some of the keys whose values have exceeded their retention; a few writes find all of them."""
        if self._keep_seconds is None or (self._swept_to is None and self._now() < self._sweep_at):
            return []
        oldest = self._now() - self._keep_seconds
        items: Iterator[Any] = self._values().items(from_key=self._swept_to or b"")
        examined = list(islice(items, _SWEEP_KEYS))
        if len(examined) < _SWEEP_KEYS:
            self._swept_to, self._sweep_at = None, self._now() + self._keep_seconds / _SWEEPS_PER_RETENTION
        else:
            self._swept_to = bytes(examined[-1][0]) + b"\0"
        return [bytes(key) for key, value in examined if _WRITTEN.unpack(value[-_WRITTEN.size :])[0] < oldest]

    def clear(self) -> None:
        """Delete everything: the changelog is no longer the one the store was filled from."""
        self.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def close(self) -> None:
        """Close the files. The next use opens them again."""
        if self._open is not None:
            self._open.close()
            self._open = None
            self._swept_to = None


def _kind(error: Exception) -> str:
    """RocksDB's name for the error, such as ``IO error``. The rest of its text is paths."""
    return str(error).partition(":")[0][:40]


def _write_options(*, loading: bool) -> rocksdict.WriteOptions:
    options = rocksdict.WriteOptions()
    options.disable_wal = loading  # type: ignore[method-assign,assignment]  # a property that the stubs call a method
    return options


@cache
def _cache() -> rocksdict.Cache:
    """The block cache shared by all stores of the process: busy stores use most of it."""
    return rocksdict.Cache(_CACHE_BYTES)


def _options() -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(_OPEN_FILES)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(_WRITE_BUFFERS)
    options.set_target_file_size_base(_FILE_BYTES)
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(_BLOOM_BITS, block_based=False)
    table.set_block_cache(_cache())
    options.set_block_based_table_factory(table)
    return options
