"""The example ERP books each amount once, whatever way a payment took."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paynotify.sandbox.consumer import apply_batch, open_database
from paynotify.sandbox.erp import TABLES, book
from tests.fakes.status_events import event, read, record


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    one = open_database(str(tmp_path / "erp.db"), TABLES)
    yield one
    one.close()


def _booked(database: sqlite3.Connection) -> list[tuple[str, int]]:
    return list(database.execute("SELECT kind, value FROM bookings ORDER BY rowid"))


def test_erp_books_captured_money_only(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "pending"), event(2, "authorised"), event(3, "captured"))
    assert _booked(database) == [("paid", 1050)]


def test_erp_books_each_part_of_a_growing_refund_once(database: sqlite3.Connection) -> None:
    part, more = {"value": 300, "currency": "GBP"}, {"value": 1050, "currency": "GBP"}
    read(database, book, event(1, "captured"), event(2, "partially_refunded", refunded=part))
    read(database, book, event(3, "refunded", refunded=more))
    assert _booked(database) == [("paid", 1050), ("refunded", 300), ("refunded", 750)]


def test_erp_books_a_chargeback_of_what_was_not_refunded(database: sqlite3.Connection) -> None:
    part = {"value": 300, "currency": "GBP"}
    read(database, book, event(1, "partially_refunded", refunded=part), event(2, "charged_back", refunded=part))
    assert _booked(database) == [("paid", 1050), ("refunded", 300), ("charged_back", 750)]


def _money(value: int, currency: str = "GBP") -> dict[str, Any]:
    return {"value": value, "currency": currency}


def test_erp_books_a_partial_chargeback_by_its_amount(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(2, "charged_back", charged_back=_money(300)))
    read(database, book, event(3, "charged_back", charged_back=_money(500)))
    assert _booked(database) == [("paid", 1050), ("charged_back", 300), ("charged_back", 200)]


def test_erp_reverses_a_chargeback_that_a_correction_ended(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(2, "charged_back", charged_back=_money(300)), event(3, "captured"))
    assert _booked(database) == [("paid", 1050), ("charged_back", 300), ("charged_back", -300)]


def test_erp_reverses_a_payment_that_took_no_money_after_all(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(2, "cancelled", correction={"by": "anna", "reason": "case 1"}))
    assert _booked(database) == [("paid", 1050), ("paid", -1050)]


def test_erp_books_a_refund_only_once_it_is_settled(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(2, "captured", refunding=_money(1050)))
    assert _booked(database) == [("paid", 1050)]
    read(database, book, event(3, "refunded", refunded=_money(1050)))
    assert _booked(database) == [("paid", 1050), ("refunded", 1050)]


def test_erp_keeps_its_bookings_while_the_status_is_unknown(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(2, "unknown", reason="money_returned"))
    assert _booked(database) == [("paid", 1050)]


def test_erp_books_a_refund_in_its_own_currency(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "partially_refunded", refunded=_money(700, "EUR")))
    booked = list(database.execute("SELECT kind, value, currency FROM bookings ORDER BY rowid"))
    assert booked == [("paid", 1050, "GBP"), ("refunded", 700, "EUR")]


def test_consumer_counts_a_repeated_event_and_applies_it_once(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "captured"), event(1, "captured"))
    read(database, book, event(1, "captured"))
    assert _booked(database) == [("paid", 1050)]
    assert database.execute("SELECT count FROM repeats").fetchone() == (2,)


def test_consumer_reports_a_gap_in_the_sequence(database: sqlite3.Connection) -> None:
    read(database, book, event(1, "pending"), event(3, "captured"))
    assert list(database.execute("SELECT payment, expected, found FROM gaps")) == [("shop/P1", 2, 3)]
    assert _booked(database) == [("paid", 1050)]


def test_consumer_ignores_an_older_event_that_arrives_late(database: sqlite3.Connection) -> None:
    read(database, book, event(2, "declined"), event(1, "captured"))
    assert _booked(database) == []


def test_consumer_skips_an_unreadable_record_and_reads_on(database: sqlite3.Connection) -> None:
    read(database, book, b"no json", event(1, "captured"))
    assert _booked(database) == [("paid", 1050)]
    assert database.execute("SELECT count(*) FROM unreadable").fetchone() == (1,)


def test_consumer_rolls_back_effects_and_offset_of_a_failed_batch(database: sqlite3.Connection) -> None:
    def failing(connection: sqlite3.Connection, one: dict[str, Any]) -> None:
        book(connection, one)
        if one["payment_id"] == "P2":
            raise OSError("disk full")

    batch = [record(event(1, "captured"), 7), record(event(1, "captured", payment_id="P2"), 8)]
    with pytest.raises(OSError, match="disk full"):
        apply_batch(database, "reader", batch, failing)
    for table in ("bookings", "applied", "offsets", "positions"):
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    apply_batch(database, "reader", batch, book)
    assert database.execute("SELECT next FROM offsets").fetchone() == (9,)
