"""A partition's local store keeps what it was given for as long as it must, and forgets the rest by and by."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.store import LocalStore

HOUR_SECONDS = 3600


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def kept(store: LocalStore, count: int) -> int:
    return sum(store.get(b"k%d" % number) == b"v%d" % number for number in range(count))


def write(store: LocalStore, count: int) -> None:
    for number in range(count):
        store.write({b"k%d" % number: b"v%d" % number, b"gone": None}, number + 1)


@pytest.mark.parametrize("keep_seconds", [None, HOUR_SECONDS, 400 * 24 * HOUR_SECONDS])
def test_nothing_is_lost_when_the_files_are_compacted_after_a_restart(tmp_path: Path, keep_seconds: int | None) -> None:
    store = LocalStore(tmp_path / "state", keep_seconds)
    write(store, 300)
    for _ in range(3):
        store.close()
        store = LocalStore(tmp_path / "state", keep_seconds)
        store._values().compact_range(None, None)
        assert kept(store, 300) == 300
        assert store.next_offset == 300
    store.close()


def test_what_is_older_than_it_must_be_is_forgotten_a_little_with_each_write(tmp_path: Path) -> None:
    clock = Clock()
    store = LocalStore(tmp_path / "state", HOUR_SECONDS, clock)
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


def test_a_key_that_expired_and_is_written_again_stays(tmp_path: Path) -> None:
    clock = Clock()
    store = LocalStore(tmp_path / "state", HOUR_SECONDS, clock)
    write(store, 1)
    clock.now += 2 * HOUR_SECONDS
    write(store, 1)
    assert kept(store, 1) == 1
    store.close()
