"""One partition's state on the local disk: a RocksDB file that always equals a beginning of its changelog.

Values and the changelog offset up to which they are complete go into one write, so that a crash leaves neither ahead.
The directory is a cache: lost or wiped, it is filled again from the changelog.
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

from schemas.errors import StateUnavailableError

#: The newest format of states' values, here and in changelogs, that this release reads. Members with a default may be
#: added within a format, and an earlier release leaves them out when it writes the value anew; whatever must not be
#: lost so counts the format up. A value is written in the first format that can hold it; none named means the first.
STATE_FORMAT = 2

#: No stage's keys begin with a zero byte.
_NEXT_OFFSET: Final = b"\0changelog-next-offset"
_FORMAT: Final = b"\0format"
#: Before all keys of stages.
FIRST_KEY: Final = b"\0\xff"

# Many small stores share one process: RocksDB's defaults would let each grow to gigabytes. A shared bound of the write
# buffers would not do: once idle stores had filled it, each write to another would become a file of its own.
_CACHE_BYTES: Final = 32 * 1024 * 1024
_WRITE_BUFFER_BYTES: Final = 1024 * 1024
_WRITE_BUFFERS: Final = 2
_FILE_BYTES: Final = 8 * 1024 * 1024
_OPEN_FILES: Final = 64
_BLOOM_BITS: Final = 10
#: What many values are read in with: most of the work of one value is RocksDB's own sorting of small files.
_LOADING_BUFFER_BYTES: Final = 4 * 1024 * 1024

#: When a value was written, in Unix time, behind each value that is not kept for ever.
_WRITTEN: Final = struct.Struct("<i")
#: So many keys are looked at with each write until all were, and again after this part of the time they are kept.
_SWEPT_AT_A_TIME: Final = 100
_SWEEPS: Final = 10


class LocalStore:
    """The values of one partition. Opened with the first use; one process at a time can have it open.

    ``keep_seconds`` is how long a value is kept at least; none means for ever. RocksDB's own expiry is not used: opened
    a second time with it, rocksdict 0.3.29 drops a third of all values, of whatever age, with each compaction.
    """

    def __init__(self, directory: Path, keep_seconds: int | None = None, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._keep_seconds = keep_seconds
        self._now = now
        self._open: rocksdict.Rdict | None = None
        self._loading = False
        self._sweep_at = 0.0
        self._swept_to: bytes | None = None

    def _values(self) -> rocksdict.Rdict:
        if self._open is None:
            self._directory.parent.mkdir(parents=True, exist_ok=True)
            self._open = rocksdict.Rdict(str(self._directory), options=_options())
            if self._is_of_a_later_release(self._open):
                # the changelog says so too; what it holds is read when this release can
                self.clear()
                return self._values()
        return self._open

    def _is_of_a_later_release(self, values: rocksdict.Rdict) -> bool:
        found: bytes | None = values.get(_FORMAT)
        return found is not None and found[0] > STATE_FORMAT

    @property
    def next_offset(self) -> int | None:
        """The first changelog offset that this store does not hold; none for an empty store."""
        text = self.get(_NEXT_OFFSET)
        return int(text) if text is not None else None

    def get(self, key: bytes) -> bytes | None:
        """
        Raises:
            StateUnavailableError: the files can't be read.
        """
        try:
            value: bytes | None = self._values().get(key)
        except Exception as error:  # RocksDB's errors have no class of their own
            raise StateUnavailableError(f"{self._directory.name} can't be read ({_kind(error)})") from error
        return value if value is None or self._keep_seconds is None else value[: -_WRITTEN.size]

    def first(self, prefix: bytes, below: bytes, most: int) -> list[bytes]:
        """The first keys, at most so many, that begin with ``prefix`` and come before ``below``, in order.

        Raises:
            StateUnavailableError: the files can't be read.
        """
        found: list[bytes] = []
        # without the bound, an empty range is left only at the next key there is, past all that were deleted lately
        until = rocksdict.ReadOptions()
        until.set_iterate_upper_bound(below)
        try:
            keys: Iterator[Any] = self._values().keys(from_key=prefix, read_opt=until)
            for key in keys:
                if len(found) >= most or not key.startswith(prefix) or key >= below:
                    break
                found.append(key)
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} can't be read ({_kind(error)})") from error
        return found

    def after(self, key: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """The first keys, at most so many, that come after this one, with their values, in order.

        Raises:
            StateUnavailableError: the files can't be read.
        """
        try:
            items: Iterator[Any] = self._values().items(from_key=key + b"\0")
            found = [(bytes(name), bytes(value)) for name, value in islice(items, most)]
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} can't be read ({_kind(error)})") from error
        end = None if self._keep_seconds is None else -_WRITTEN.size
        return [(name, value[:end]) for name, value in found]

    def write(self, changes: Mapping[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        """Apply all changes at once, together with how far the changelog is now held.

        Raises:
            StateUnavailableError: the files can't be written.
        """
        batch = rocksdict.WriteBatch(raw_mode=True)
        written = b"" if self._keep_seconds is None else _WRITTEN.pack(int(self._now()))
        try:
            for key in self._expired():
                batch.delete(key)
            # after what has expired: a key that is written anew stays
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
            raise StateUnavailableError(f"{self._directory.name} can't be written ({_kind(error)})") from error

    @contextmanager
    def loading(self) -> Iterator[None]:
        """While very many values are written that can be read again from the changelog.

        There is no write-ahead log, and files are put in order afterwards. A crash within leaves a beginning of what
        was written, as without this; when it ends, all of it is on the disk, and may be built upon.

        Raises:
            StateUnavailableError: the files can't be written.
        """
        self._set(write_buffer_size=_LOADING_BUFFER_BYTES, disable_auto_compactions="true")
        self._loading = True
        try:
            yield
        finally:
            self._loading = False
            # a write with a log that survived a crash, after one without that did not, would be a gap
            self._set(flush=True, write_buffer_size=_WRITE_BUFFER_BYTES, disable_auto_compactions="false")

    def _set(self, *, flush: bool = False, **options: object) -> None:
        try:
            values = self._values()
            if flush:
                values.flush()
            values.set_options({name: str(value) for name, value in options.items()})
        except Exception as error:  # as in `get`
            raise StateUnavailableError(f"{self._directory.name} can't be written ({_kind(error)})") from error

    def _expired(self) -> list[bytes]:
        """Some of the keys whose values are older than they must be kept; all of them within a few writes."""
        if self._keep_seconds is None or (self._swept_to is None and self._now() < self._sweep_at):
            return []
        oldest = self._now() - self._keep_seconds
        items: Iterator[Any] = self._values().items(from_key=self._swept_to or b"")
        looked_at = list(islice(items, _SWEPT_AT_A_TIME))
        if len(looked_at) < _SWEPT_AT_A_TIME:
            self._swept_to, self._sweep_at = None, self._now() + self._keep_seconds / _SWEEPS
        else:
            self._swept_to = bytes(looked_at[-1][0]) + b"\0"
        return [bytes(key) for key, value in looked_at if _WRITTEN.unpack(value[-_WRITTEN.size :])[0] < oldest]

    def clear(self) -> None:
        """Forget everything, because the changelog is another one than the store was filled from."""
        self.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._swept_to = None


def _kind(error: Exception) -> str:
    """RocksDB's word for it, such as ``IO error``; what follows it are paths."""
    return str(error).partition(":")[0][:40]


def _write_options(*, loading: bool) -> rocksdict.WriteOptions:
    options = rocksdict.WriteOptions()
    options.disable_wal = loading  # type: ignore[method-assign,assignment]  # a property that the stubs call a method
    return options


@cache
def _cache() -> rocksdict.Cache:
    """What was read last, of all stores of the process: the busy ones have the most of it."""
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
