"""The example warehouse lets goods go once, and notices when it should not have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from paynotify.sandbox.consumer import open_database
from paynotify.sandbox.fulfilment import TABLES, decide
from tests.fakes.status_events import event, read


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    one = open_database(str(tmp_path / "warehouse.db"), TABLES)
    yield one
    one.close()


def _parcel(database: sqlite3.Connection) -> tuple[str, str | None, str | None]:
    found: tuple[str, str | None, str | None] = database.execute(
        "SELECT state, released_by, recalled_by FROM parcels"
    ).fetchone()
    return found


def test_fulfilment_holds_goods_until_the_money_is_captured(database: sqlite3.Connection) -> None:
    read(database, decide, event(1, "authorised"))
    assert _parcel(database) == ("hold", None, None)
    read(database, decide, event(2, "captured", fulfilment="release"))
    assert _parcel(database) == ("release", "P1-2-captured", None)


def test_fulfilment_records_no_recall_for_a_stop_before_the_release(database: sqlite3.Connection) -> None:
    read(database, decide, event(1, "declined", fulfilment="stop"))
    assert _parcel(database) == ("stop", None, None)


def test_fulfilment_records_a_stop_after_the_release_as_recall(database: sqlite3.Connection) -> None:
    read(database, decide, event(1, "captured", fulfilment="release"), event(2, "refunded", fulfilment="stop"))
    assert _parcel(database) == ("stop", "P1-1-captured", "P1-2-refunded")


def test_fulfilment_releases_once_for_repeated_events(database: sqlite3.Connection) -> None:
    released = event(1, "captured", fulfilment="release")
    read(database, decide, released, released, released)
    assert database.execute("SELECT count(*) FROM decisions").fetchone() == (1,)


def test_fulfilment_sends_an_order_that_is_paid_twice_once(database: sqlite3.Connection) -> None:
    first = event(1, "captured", fulfilment="release")
    read(database, decide, first, {**first, "event_id": "second", "payment_id": "P2"})
    assert database.execute("SELECT payment_id, state, released_by FROM parcels ORDER BY payment_id").fetchall() == [
        ("P1", "release", "P1-1-captured"),
        ("P2", "release", None),
    ]


def test_fulfilment_recalls_what_was_withdrawn_after_the_authorisation_released_it(
    database: sqlite3.Connection,
) -> None:
    stop = event(2, "suspended", fulfilment="stop", reason="suspended_after_release")
    read(database, decide, event(1, "authorised", fulfilment="release"), stop)
    assert _parcel(database) == ("stop", "P1-1-authorised", "P1-2-suspended")
    read(database, decide, event(3, "authorised", fulfilment="release"), event(4, "captured", fulfilment="release"))
    assert _parcel(database) == ("release", "P1-1-authorised", "P1-2-suspended")


@pytest.mark.parametrize("role", ["part", "repeat"])
def test_fulfilment_sends_the_goods_of_each_part_and_of_each_month(database: sqlite3.Connection, role: str) -> None:
    first = event(1, "captured", fulfilment="release")
    read(database, decide, first, {**first, "event_id": "second", "payment_id": "P2", "order_role": role})
    assert database.execute("SELECT payment_id, released_by FROM parcels ORDER BY payment_id").fetchall() == [
        ("P1", "P1-1-captured"),
        ("P2", "second"),
    ]
