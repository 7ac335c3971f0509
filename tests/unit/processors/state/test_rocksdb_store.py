"""A partition's local store keeps what it was given for as long as it must, and forgets the rest by and by."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from paynotify.processors.state.rocksdb_store import RocksDBStore

HOUR_SECONDS = 3600


#: A process that loads values, writes more as in daily work if told to, and is killed with all that memory holds.
KILLED: Final = """
import os, signal, sys
from pathlib import Path
from paynotify.processors.state.rocksdb_store import RocksDBStore

store = RocksDBStore(Path(sys.argv[1]))
with store.loading():
    for number in range(400):
        store.write({b"k%d" % (400 * round_ + number): b"v" * 100 for round_ in range(100)}, number + 1)
    if sys.argv[2] == "loading":
        os.kill(os.getpid(), signal.SIGKILL)
for number in range(400, 500):
    store.write({b"after%d" % number: b"v"}, number + 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def load_and_be_killed(path: Path, when: str) -> RocksDBStore:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), when], check=False)
    assert done.returncode == -signal.SIGKILL
    return RocksDBStore(path)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def kept(store: RocksDBStore, count: int) -> int:
    return sum(store.get(b"k%d" % number) == b"v%d" % number for number in range(count))


def write(store: RocksDBStore, count: int) -> None:
    for number in range(count):
        store.write({b"k%d" % number: b"v%d" % number, b"gone": None}, number + 1)


@pytest.mark.parametrize("retention_seconds", [None, HOUR_SECONDS, 400 * 24 * HOUR_SECONDS])
def test_compaction_after_a_restart_loses_nothing(tmp_path: Path, retention_seconds: int | None) -> None:
    store = RocksDBStore(tmp_path / "state", retention_seconds)
    write(store, 300)
    for _ in range(3):
        store.close()
        store = RocksDBStore(tmp_path / "state", retention_seconds)
        store._values().compact_range(None, None)
        assert kept(store, 300) == 300
        assert store.next_offset == 300
    store.close()


def test_expired_values_are_deleted_a_few_with_each_write(tmp_path: Path) -> None:
    clock = Clock()
    store = RocksDBStore(tmp_path / "state", HOUR_SECONDS, clock)
    write(store, 300)
    clock.now += HOUR_SECONDS - 1
    write(store, 50)
    assert kept(store, 300) == 300
    clock.now += 2
    for offset in range(400, 410):
        store.write({}, offset)
    clock.now += HOUR_SECONDS / 10
    for offset in range(410, 420):
        store.write({}, offset)
    assert kept(store, 50) == 50
    assert sum(store.get(b"k%d" % number) is not None for number in range(300)) == 50
    assert store.next_offset == 419
    store.close()


def test_expired_key_that_is_written_again_stays(tmp_path: Path) -> None:
    clock = Clock()
    store = RocksDBStore(tmp_path / "state", HOUR_SECONDS, clock)
    write(store, 1)
    clock.now += 2 * HOUR_SECONDS
    write(store, 1)
    assert kept(store, 1) == 1
    store.close()


def loaded(store: RocksDBStore) -> list[int]:
    """Which of the loading process's writes are there, judged by all of their values."""
    return [
        number
        for number in range(400)
        if all(store.get(b"k%d" % (400 * round_ + number)) == b"v" * 100 for round_ in range(100))
    ]


def test_bulk_load_that_is_killed_leaves_a_prefix_of_its_writes(tmp_path: Path) -> None:
    store = load_and_be_killed(tmp_path / "state", "loading")
    held = store.next_offset or 0
    assert loaded(store) == list(range(held))
    store.close()


def test_writes_after_a_bulk_load_never_survive_without_it(tmp_path: Path) -> None:
    store = load_and_be_killed(tmp_path / "state", "after")
    assert store.next_offset == 500
    assert loaded(store) == list(range(400))
    assert all(store.get(b"after%d" % number) == b"v" for number in range(400, 500))
    store.close()
