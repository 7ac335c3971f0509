"""Two books side by side: what differs, what is only at the border, and which lookups would mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.reconcile.command import _digits
from ops.reconcile.compare import (
    KINDS,
    Here,
    PaymentDifference,
    PaymentEntry,
    Period,
    compare,
    count_too_new,
)
from ops.reconcile.repair import keep_within, lookup_id, mending, outputs
from schemas.configuration.model import KafkaSettings
from schemas.messages import Lookup, decode
from schemas.money import Money, from_major
from schemas.records import Record
from schemas.status import Status
from tests.fakes.accounts import account

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
    return [one.kind for one in compare(there, Here(here), period)]


def test_equal_books_have_no_differences() -> None:
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
def test_each_kind_of_difference(there: list[PaymentEntry], here: list[PaymentEntry], expected: list[str]) -> None:
    assert kinds(there, here) == expected


def test_at_the_borders_neither_book_misses_the_other() -> None:
    second = timedelta(seconds=1)
    for at in (PERIOD.start, PERIOD.start + SLACK - second, PERIOD.end - SLACK, PERIOD.end):
        assert kinds([], [entry(at=at)]) == []
    assert kinds([], [entry(at=PERIOD.start + SLACK)]) == ["missing_there"]
    assert kinds([], [entry(at=PERIOD.end - SLACK - second)]) == ["missing_there"]
    # theirs are looked for among all of ours, whenever we saw them
    assert kinds([entry(at=PERIOD.start)], [entry(at=None)]) == []
    # and theirs of another period are none of this one's, but known
    outside = entry(at=PERIOD.start - second)
    assert kinds([outside], []) == []
    assert kinds([outside], [entry()]) == []


def test_what_was_just_sold_is_not_missing_yet() -> None:
    period = replace(PERIOD, end=PERIOD.start + timedelta(hours=12), now=PERIOD.start + timedelta(hours=12))
    new, old = entry("new", at=period.end - SLACK), entry("old", at=period.end - SLACK - timedelta(seconds=1))
    assert [one.payment_id for one in compare([new, old], Here([]), period)] == ["old"]
    assert count_too_new([new, old], Here([]), period) == 1
    assert count_too_new([new, old], Here([new]), period) == 0


def test_an_order_is_compared_with_its_payment_that_agrees_or_got_furthest() -> None:
    tries = [entry("p1", "declined"), entry("p2", "captured"), entry("p3", "declined")]
    assert kinds([entry(None, "captured")], tries) == []
    assert kinds([entry(None, "declined")], tries) == []
    (found,) = compare([entry(None, "refunded")], Here(tries), PERIOD)
    assert found.here is not None
    assert (found.kind, found.here.payment_id) == ("other_status", "p2")


def test_a_payment_that_is_not_here_is_missing_though_its_order_is() -> None:
    assert kinds([entry("p2")], [entry("p1", at=None)]) == ["missing_here"]


BOOK = st.lists(
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


@given(there=BOOK, here=BOOK, chance=st.randoms())
def test_the_order_of_the_books_changes_nothing_and_each_payment_is_told_once_a_kind(
    there: list[PaymentEntry], here: list[PaymentEntry], chance: Any
) -> None:
    found = compare(there, Here(here), PERIOD)
    mixed_there, mixed_here = list(there), list(here)
    chance.shuffle(mixed_there)
    chance.shuffle(mixed_here)
    assert compare(mixed_there, Here(mixed_here), PERIOD) == found
    assert max(Counter((one.kind, one.payment_id) for one in found).values(), default=1) == 1
    assert [KINDS.index(one.kind) for one in found] == sorted(KINDS.index(one.kind) for one in found)
    for one in found:
        assert (one.here is None, one.there is None) == (one.kind == "missing_here", one.kind == "missing_there")


# --- mending -------------------------------------------------------------------------------------------------


def difference(there: PaymentEntry | None, here: PaymentEntry | None = None) -> PaymentDifference:
    told = there or here
    assert told is not None
    return PaymentDifference(
        kind="missing_here", payment_id=told.payment_id, order_id=told.order_id, here=here, there=there
    )


def lookups(provider: str, *differences: PaymentDifference, listed: bool = True, **settings: Any) -> list[Lookup]:
    return list(mending(account(provider, **settings).merchant, differences, NOON, listed=listed).lookups.values())


def test_the_same_question_is_asked_once_a_day() -> None:
    shop = account("trustpayments").merchant
    two = [difference(entry(one, "refunded"), entry(one)) for one in ("57-9-1", "57-9-2")]
    found = mending(shop, two, NOON, listed=True)  # both of the order o1
    (lookup,) = found.lookups.values()
    assert found.lookups.keys() == mending(shop, two, NOON + timedelta(hours=11), listed=True).lookups.keys()
    assert found.lookups.keys() != mending(shop, two, NOON + timedelta(hours=13), listed=True).lookups.keys()
    assert lookup_id(lookup, NOON) in found.lookups


BY_PAYMENT: Final = ("57-9-1", {"recovery": "1"})
BY_ORDER: Final = (None, {"orderreference": "o1", "recovery": "1"})


@pytest.mark.parametrize(
    ("there", "here", "listed", "question"),
    [
        (entry("57-9-1"), None, True, BY_PAYMENT),
        (entry("57-9-1"), entry("57-9-1", "authorised"), True, BY_PAYMENT),
        # refunds are requests of their own, which only the order leads to
        (entry("57-9-1", "refunded"), None, True, BY_ORDER),
        (entry("57-9-1", "refunded"), entry("57-9-1"), False, BY_ORDER),
        # the shop's order may have a payment we have never heard of
        (entry(None), entry("57-9-1", "declined"), False, BY_ORDER),
        (entry(None), None, False, BY_ORDER),
        # a shop may write order ids in its own way
        (entry("57-9-1", "refunded", order_id="#1"), None, False, BY_PAYMENT),
    ],
)
def test_it_is_asked_by_payment_where_that_tells_all_and_by_order_where_it_does_not(
    there: PaymentEntry, here: PaymentEntry | None, listed: bool, question: tuple[str | None, dict[str, str]]
) -> None:
    (lookup,) = lookups("trustpayments", difference(there, here), listed=listed)
    assert (lookup.reference, lookup.arguments) == question


@pytest.mark.parametrize(
    ("provider", "settings", "count"),
    [
        ("nevogate", {}, 0),
        ("nevogate", {"recover_by_details": True}, 1),
        ("omnikassa", {}, 0),
    ],
)
def test_only_what_the_rules_allow_is_asked(provider: str, settings: dict[str, Any], count: int) -> None:
    payment = entry("a4d6f6f27f2116da21da62d705dbd7ef")
    found = mending(account(provider, **settings).merchant, [difference(payment, payment)], NOON, listed=False)
    assert len(found.lookups) == count
    assert sum(found.left_out.values()) == 1 - count
    assert all(one.operation == "details" for one in found.lookups.values())


def test_no_more_is_queued_than_an_hours_budget_and_always_the_same() -> None:
    shop = account("omnikassa", refresh_token={"value": "t"}).merchant
    ids = [f"1d0a95f4-2589-439b-9562-c50aa19f9c{number:02x}" for number in range(10)]
    found, again = (
        mending(shop, [difference(entry(one)) for one in order], NOON, listed=False)
        for order in (ids, list(reversed(ids)))
    )
    for one in (found, again):
        keep_within(one, 4)
    assert [one.reference for one in sorted(found.lookups.values(), key=lambda one: str(one.reference))] == ids[:4]
    assert found.lookups.keys() == again.lookups.keys()
    assert sum(found.left_out.values()) == 6
    keep_within(found, -1)
    assert found.lookups == {}


def test_what_they_miss_is_nothing_to_ask_them_about() -> None:
    found = mending(account("trustpayments").merchant, [difference(None, entry("57-9-1"))], NOON, listed=True)
    assert found.lookups == {}
    assert "nothing to ask" in next(iter(found.left_out))


def test_a_queued_lookup_says_that_it_is_recovery_and_when_it_was_asked() -> None:
    found = mending(account("trustpayments").merchant, [difference(entry("57-9-1"))], NOON, listed=True)
    (output,) = outputs(found, KafkaSettings(topic_prefix="p."))
    record = Record(output.topic, 0, 0, output.key, output.value, output.headers, 0.0)
    lookup = decode(record.value, Lookup)
    assert (output.topic, output.key) == ("p.lookups.trustpayments", b"shop/57-9-1")
    assert record.header("ce_id") in found.lookups
    assert record.header("ce_time") == lookup.received_at == "2026-11-22T12:00:00.000Z"
    assert (lookup.notification_id, lookup.arguments["recovery"]) == ("reconcile", "1")


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1050, "GBP"), "10.50"),
        (Money(5, "EUR"), "0.05"),
        (Money(500, "JPY"), "500"),
        (Money(1, "KWD"), "0.001"),
        (Money(-5, "EUR"), "-0.05"),
        (Money(0, "EUR"), "0.00"),
    ],
)
def test_amounts_are_printed_as_an_export_has_them(money: Money, text: str) -> None:
    assert _digits(money) == text


@given(value=st.integers(0, 10**15 - 1), currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_a_printed_amount_reads_back_as_itself(value: int, currency: str) -> None:
    assert from_major(_digits(Money(value, currency)), currency) == Money(value, currency)
