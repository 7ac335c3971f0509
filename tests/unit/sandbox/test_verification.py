"""The demo's verification reports every kind of difference, with the payment."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paynotify.sandbox import erp, fulfilment
from paynotify.sandbox.consumer import open_database
from paynotify.sandbox.observer import Observer
from paynotify.sandbox.verification import VerificationResult, settled, verify
from paynotify.schemas import topics
from tests.fakes.status_events import event, read, record

TRUTH = {"merchant": "shop", "status": "captured", "paid": 1050, "refunded": 0, "refunding": 0, "charged_back": 0}


class Day:
    """One payment that the provider captured, and what the system made of it."""

    def __init__(self, directory: Path) -> None:
        self.observer = Observer("nowhere:0", "")
        self.erp, self.warehouse = directory / "erp.db", directory / "warehouse.db"
        self.books: dict[str, Any] = {"trustpayments": {"payments": {"P1": dict(TRUTH)}, "waiting": 0}}
        self._databases: list[sqlite3.Connection] = [
            open_database(str(self.erp), erp.TABLES),
            open_database(str(self.warehouse), fulfilment.TABLES),
        ]

    def publish(self, value: dict[str, Any]) -> None:
        value = {"provider": "trustpayments", **value}
        published = SimpleNamespace(**vars(record(value)), headers=[], timestamp=0)
        self.observer.add(topics.STATUS, published)
        read(self._databases[0], erp.book, value)
        read(self._databases[1], fulfilment.decide, value)

    def book_again(self) -> None:
        self._databases[0].execute(
            "INSERT INTO bookings SELECT 'again', merchant, payment_id, order_id, kind, value, currency FROM bookings"
        )

    def stored(self, notification: str) -> None:
        headers = [("ce_id", notification.encode()), ("ce_time", b"2026-11-23T09:00:00Z")]
        self.observer.add("notifications.trustpayments", SimpleNamespace(headers=headers, value=b""))

    def result(self) -> VerificationResult:
        return verify(self.books, self.observer, self.erp, self.warehouse)

    def close(self) -> None:
        for database in self._databases:
            database.close()


@pytest.fixture
def day(tmp_path: Path) -> Any:
    one = Day(tmp_path)
    yield one
    one.close()


def test_verification_holds_for_a_payment_that_ended_as_at_the_provider(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    assert day.result().holds


def test_verification_reports_a_payment_never_published_as_lost(day: Day) -> None:
    assert "P1" in day.result().lost[0]


def test_verification_reports_another_status_than_the_providers(day: Day) -> None:
    day.publish(event(1, "authorised"))
    assert any("P1" in one and "authorised published" in one for one in day.result().wrong)


def test_verification_reports_money_booked_twice(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    day.book_again()
    assert day.result().twice == ["P1: paid 1050 at the provider, the ERP booked 2100"]


def test_verification_reports_goods_released_without_money(day: Day) -> None:
    day.books["trustpayments"]["payments"]["P1"].update(status="declined", paid=0)
    day.publish(event(1, "declined", fulfilment="release"))
    assert day.result().wrong == ["P1: goods were released although nothing was paid"]


def test_verification_reports_a_gap_and_an_event_id_with_two_contents(day: Day) -> None:
    day.publish(event(2, "captured", fulfilment="release"))
    day.publish(event(2, "captured", fulfilment="release", reason="another"))
    assert len(day.observer.contradictions) == 2
    assert not day.result().holds


def test_repeat_of_the_same_bytes_is_only_counted(day: Day) -> None:
    for _ in range(2):
        day.publish(event(1, "captured", fulfilment="release"))
    assert day.observer.repeats == 1
    assert day.result().holds


def test_verification_reports_a_stored_notification_without_outcome(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    day.stored("N1")
    assert day.result().wrong == ["trustpayments notification N1 ended 0 times"]


@pytest.mark.parametrize("name", ["refunding", "charged_back"])
def test_verification_reports_an_amount_that_the_newest_event_lacks(day: Day, name: str) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    day.books["trustpayments"]["payments"]["P1"][name] = 400
    assert f"trustpayments P1: {name} 400 at the provider, 0 published" in day.result().wrong


def test_day_is_not_over_before_the_provider_has_settled_what_is_due(day: Day) -> None:
    day.publish(event(1, "captured", fulfilment="release"))
    assert settled(day.books, day.observer)
    day.books["trustpayments"]["unsettled"] = 1
    assert not settled(day.books, day.observer)
