"""The comparison of two sides: differences, and what is too close to the period's ends to be one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.reconcile.compare import (
    OwnPayments,
    PaymentEntry,
    Period,
    compare,
    count_too_new,
)
from paynotify.schemas.messages import DIFFERENCE_KINDS
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status

START: Final = datetime(2026, 11, 22, tzinfo=UTC)
SLACK: Final = timedelta(minutes=15)
PERIOD: Final = Period(start=START, end=START + timedelta(days=1), slack=SLACK, now=START + timedelta(days=2, hours=9))
NOON: Final = START + timedelta(hours=12)


def entry(
    payment_id: str | None = "p1", status: Status | None = "captured", value: int | None = 1000, **more: Any
) -> PaymentEntry:
    amount = Money(value, more.pop("currency", "EUR")) if value is not None else None
    return PaymentEntry(
        **{"payment_id": payment_id, "order_id": "o1", "status": status, "amount": amount, "at": NOON, **more}
    )


def kinds(there: list[PaymentEntry], here: list[PaymentEntry], period: Period = PERIOD) -> list[str]:
    return [one.kind for one in compare(there, OwnPayments(here), period)]


def test_equal_sides_have_no_differences() -> None:
    both = [entry(f"p{number}") for number in range(5)]
    assert kinds(both, both) == []


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ([entry()], [], ["missing_here"]),
        ([], [entry()], ["missing_there"]),
        ([entry(status="refunded")], [entry()], ["other_status"]),
        ([entry(value=999)], [entry()], ["other_amount"]),
        ([entry(currency="GBP")], [entry()], ["other_amount"]),
        ([entry(paid=Money(900, "EUR"))], [entry(paid=Money(1000, "EUR"))], ["other_amount"]),
        ([entry(status="pending", value=1)], [entry()], ["other_status", "other_amount"]),
        # what one of them does not tell is no difference
        ([entry(status=None, value=None)], [entry()], []),
        ([entry()], [entry(value=None)], []),
    ],
)
def test_difference_of_each_kind(there: list[PaymentEntry], here: list[PaymentEntry], expected: list[str]) -> None:
    assert kinds(there, here) == expected


def test_payment_near_the_ends_of_the_period_is_not_missing() -> None:
    second = timedelta(seconds=1)
    for at in (PERIOD.start, PERIOD.start + SLACK - second, PERIOD.end - SLACK, PERIOD.end):
        assert kinds([], [entry(at=at)]) == []
    assert kinds([], [entry(at=PERIOD.start + SLACK)]) == ["missing_there"]
    assert kinds([], [entry(at=PERIOD.end - SLACK - second)]) == ["missing_there"]
    # their payments are matched with ours of all times
    assert kinds([entry(at=PERIOD.start)], [entry(at=None)]) == []
    # their payments of another period are not compared, but they are known
    outside = entry(at=PERIOD.start - second)
    assert kinds([outside], []) == []
    assert kinds([outside], [entry()]) == []


def test_recent_payment_is_not_missing_yet() -> None:
    period = replace(PERIOD, end=PERIOD.start + timedelta(hours=12), now=PERIOD.start + timedelta(hours=12))
    new, old = entry("new", at=period.end - SLACK), entry("old", at=period.end - SLACK - timedelta(seconds=1))
    assert [one.payment_id for one in compare([new, old], OwnPayments([]), period)] == ["old"]
    assert count_too_new([new, old], OwnPayments([]), period) == 1
    assert count_too_new([new, old], OwnPayments([new]), period) == 0


def test_order_is_represented_by_the_payment_that_agrees_or_progressed_furthest() -> None:
    tries = [entry("p1", "declined"), entry("p2", "captured"), entry("p3", "declined")]
    assert kinds([entry(None, "captured")], tries) == []
    assert kinds([entry(None, "declined")], tries) == []
    (found,) = compare([entry(None, "refunded")], OwnPayments(tries), PERIOD)
    assert found.here is not None
    assert (found.kind, found.here.payment_id) == ("other_status", "p2")


def test_payment_is_missing_even_if_its_order_is_known() -> None:
    assert kinds([entry("p2")], [entry("p1", at=None)]) == ["missing_here"]


SIDE = st.lists(
    st.builds(
        entry,
        st.sampled_from(["p1", "p2", "p3"]),
        st.sampled_from(["captured", "pending"]),
        st.sampled_from([1, 2]),
        order_id=st.sampled_from(["o1", "o2"]),
        at=st.none() | st.integers(-24, 48).map(lambda hours: START + timedelta(hours=hours)),
    ),
    unique_by=lambda one: one.payment_id,
    max_size=3,
)


@given(there=SIDE, here=SIDE, chance=st.randoms())
def test_comparison_ignores_order_and_reports_each_payment_once_per_kind(
    there: list[PaymentEntry], here: list[PaymentEntry], chance: Any
) -> None:
    found = compare(there, OwnPayments(here), PERIOD)
    shuffled_there, shuffled_here = list(there), list(here)
    chance.shuffle(shuffled_there)
    chance.shuffle(shuffled_here)
    assert compare(shuffled_there, OwnPayments(shuffled_here), PERIOD) == found
    assert max(Counter((one.kind, one.payment_id) for one in found).values(), default=1) == 1
    assert [DIFFERENCE_KINDS.index(one.kind) for one in found] == sorted(
        DIFFERENCE_KINDS.index(one.kind) for one in found
    )
    for one in found:
        assert (one.here is None, one.there is None) == (one.kind == "missing_here", one.kind == "missing_there")
