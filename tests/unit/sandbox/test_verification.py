"""The demo's proof fails for every kind of difference, and names the payment."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import erp, fulfilment
from sandbox.consumer import open_database
from sandbox.observer import Observer
from sandbox.verification import ProofResult, judge
from schemas import topics
from tests.fakes.status_events import event, read, record

TRUTH = {"merchant": "shop", "status": "captured", "paid": 1050, "refunded": 0}


class Day:
    """One payment that the provider captured, and what the system made of it."""

    def __init__(self, directory: Path) -> None:
        self.witness = Observer("nowhere:0", "")
        self.erp, self.warehouse = directory / "erp.db", directory / "warehouse.db"
        self.books: dict[str, Any] = {"trustpayments": {"payments": {"P1": dict(TRUTH)}, "waiting": 0}}
        self._databases: list[sqlite3.Connection] = [
            open_database(str(self.erp), erp.TABLES),
            open_database(str(self.warehouse), fulfilment.TABLES),
        ]

    def publish(self, value: dict[str, Any]) -> None:
        value = {"provider": "trustpayments", **value}
        published = SimpleNamespace(**vars(record(value)), headers=[], timestamp=0)
        self.witness.note(topics.STATUS, published)
        read(self._databases[0], erp.book, value)
        read(self._databases[1], fulfilment.decide, value)

    def book_again(self) -> None:
        self._databases[0].execute(
            "INSERT INTO bookings SELECT 'again', merchant, payment_id, order_id, kind, value, currency FROM bookings"
        )

    def stored(self, notification: str) -> None:
        headers = [("ce_id", notification.encode()), ("ce_time", b"2026-11-23T09:00:00Z")]
        self.witness.note("notifications.trustpayments", SimpleNamespace(headers=headers, value=b""))

    def verdict(self) -> ProofResult:
        return judge(self.books, self.witness, self.erp, self.warehouse)

    def close(self) -> None:
        for database in self._databases:
            database.close()


@pytest.fixture
def day(tmp_path: Path) -> Any:
    one = Day(tmp_path)
    yield one
    one.close()


def test_a_payment_that_ended_as_the_provider_knows_it_is_proof(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    assert day.verdict().holds


def test_a_payment_never_published_is_lost(day: Day) -> None:
    assert "P1" in day.verdict().lost[0]


def test_another_status_than_the_providers_is_wrong(day: Day) -> None:
    day.publish(event(1, "authorised"))
    assert any("P1" in one and "authorised published" in one for one in day.verdict().wrong)


def test_money_booked_twice_is_found(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    day.book_again()
    assert day.verdict().twice == ["P1: paid 1050 at the provider, the ERP booked 2100"]


def test_goods_released_without_money_are_wrong(day: Day) -> None:
    day.books["trustpayments"]["payments"]["P1"].update(status="declined", paid=0)
    day.publish(event(1, "declined", fulfilment="release"))
    assert day.verdict().wrong == ["P1: goods released although nothing was paid"]


def test_a_gap_and_an_id_with_two_contents_are_wrong(day: Day) -> None:
    day.publish(event(2, "captured", fulfilment="release"))
    day.publish(event(2, "captured", fulfilment="release", reason="another"))
    assert len(day.witness.contradictions) == 2
    assert not day.verdict().holds


def test_a_repeat_of_the_same_bytes_is_only_counted(day: Day) -> None:
    for _ in range(2):
        day.publish(event(1, "captured", fulfilment="release"))
    assert day.witness.repeats == 1
    assert day.verdict().holds


def test_a_stored_notification_without_an_end_is_wrong(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    day.stored("N1")
    assert day.verdict().wrong == ["trustpayments notification N1 ended 0 times"]
