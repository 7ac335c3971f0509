"""What every state store provides, on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.processors.state.store import FIRST_KEY, StateStore

Create = Callable[[Path], StateStore]

STORES: dict[str, Create] = {
    "rocksdb": RocksDBStore,
    "rocksdb with retention": lambda path: RocksDBStore(path, 3600),
    "memory": lambda path: MemoryStore(),
}
KEYS = [b"a", b"a\0", b"ab", b"b", b"b\xff", b"c"]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    return STORES[request.param](tmp_path / "state")


def test_empty_store_has_no_values_and_no_offset(store: StateStore) -> None:
    assert store.next_offset is None
    assert store.get(b"a") is None
    assert list(store.keys(b"", b"\xff", 9)) == []
    assert list(store.items_after(FIRST_KEY, 9)) == []


def test_write_sets_and_deletes_values_and_the_offset(store: StateStore) -> None:
    store.write({b"a": b"1", b"b": b"2"}, 2)
    store.write({b"a": None, b"b": b"3", b"gone": None}, 5)
    assert (store.get(b"a"), store.get(b"b"), store.next_offset) == (None, b"3", 5)


def test_closed_store_has_its_values_when_it_is_used_again(store: StateStore) -> None:
    store.write({b"a": b"1"}, 1)
    store.close()
    assert (store.get(b"a"), store.next_offset) == (b"1", 1)


def test_cleared_store_is_empty(store: StateStore) -> None:
    store.write({b"a": b"1"}, 1)
    store.clear()
    assert (store.get(b"a"), store.next_offset) == (None, None)


def test_bulk_load_writes_like_any_other(store: StateStore) -> None:
    with store.loading():
        store.write({b"a": b"1"}, 1)
    assert (store.get(b"a"), store.next_offset) == (b"1", 1)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=3)),
    prefix=st.sampled_from([b"", b"a", b"b", b"z"]),
    before=st.sampled_from([*KEYS, b"\xff"]),
    limit=st.integers(0, 7),
)
def test_reads_are_in_order_and_within_their_limits(
    store: StateStore, values: dict[bytes, bytes], prefix: bytes, before: bytes, limit: int
) -> None:
    store.write({key: values.get(key) for key in KEYS}, 1)
    wanted = [key for key in sorted(values) if key.startswith(prefix) and prefix <= key < before]
    if prefix:
        assert list(store.keys(prefix, before, limit)) == wanted[:limit]
    after = [(key, values[key]) for key in sorted(values) if key > before]
    assert list(store.items_after(before, limit)) == after[:limit]
