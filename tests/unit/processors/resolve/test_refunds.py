"""Refunds: under way as soon as they are accepted, settled later, or ended; before or after the payment itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.schemas.messages import Observation
from paynotify.schemas.money import Money
from tests.fakes.payment_histories import EARLY, events, pounds, refund, run, seen


def test_refund_is_published_when_it_is_accepted_and_when_it_is_settled() -> None:
    said = events([seen("captured"), refund("r1", 1000, 1), refund("r1", 1000, 2, settled=True)])
    assert [(event.status, event.refunding, event.refunded, event.fulfilment) for event in said] == [
        ("captured", None, None, "release"),
        ("captured", pounds(1000), None, "hold"),
        ("refunded", None, pounds(1000), "stop"),
    ]


def test_part_refunded_changes_nothing_about_the_release() -> None:
    said = events([seen("captured"), refund("r1", 400, 1), refund("r1", 400, 2, settled=True), refund("r2", 600, 3)])
    assert [(event.status, event.refunding, event.refunded, event.fulfilment) for event in said[1:]] == [
        ("captured", pounds(400), None, "release"),
        ("partially_refunded", None, pounds(400), "release"),
        ("partially_refunded", pounds(600), pounds(400), "hold"),
    ]


def test_part_refunded_of_a_wrong_amount_stays_on_hold() -> None:
    said = events([seen("captured", paid=pounds(999)), refund("r1", 400, 1, settled=True)])
    assert [event.fulfilment for event in said] == ["hold", "hold"]


def test_refund_that_will_not_happen_is_not_under_way_any_more() -> None:
    said = events([seen("captured"), refund("r1", 1000, 1), refund("r1", 1000, 2, ended=True)])
    assert [(event.refunding, event.fulfilment) for event in said[1:]] == [(pounds(1000), "hold"), (None, "release")]


def test_refund_that_was_suspended_can_be_under_way_again() -> None:
    steps = [seen("captured"), refund("r1", 400, 2, ended=True), refund("r1", 400, 1), refund("r1", 400, 3)]
    assert [event.refunding for event in events(steps)] == [None, pounds(400)]


def test_settled_refund_never_changes() -> None:
    later = [refund("r1", 400, 8), refund("r1", 400, 9, ended=True), refund("r1", 999, 9, settled=True)]
    assert len(events([seen("captured"), refund("r1", 400, 5, settled=True), *later])) == 2


def test_refund_before_the_capture_is_under_way_and_counts_when_it_comes() -> None:
    steps = [refund("r1", 1000, 1, settled=True), seen("authorised", 2, secured=True), seen("captured", 3)]
    said = events(steps, rules=EARLY)
    assert [(event.status, event.refunding, event.refunded, event.fulfilment) for event in said] == [
        ("authorised", pounds(1000), None, "hold"),
        ("refunded", None, pounds(1000), "stop"),
    ]


def test_refund_of_a_payment_without_money_is_not_published() -> None:
    assert [event.refunding for event in events([refund("r1", 400), seen("cancelled", 1)])] == [None]


def test_more_refunded_than_captured_is_said_once() -> None:
    steps = [seen("captured"), *(refund(f"r{number}", 600, number, settled=True) for number in range(1, 4))]
    state, said = run(steps)
    assert [step.over_refunded for step in said] == [False, False, True, False]
    assert [step.over_refunded for step in run(steps, state)[1]] == [False] * 4


def test_refund_in_the_customers_currency_is_compared_with_the_customers_amount() -> None:
    """The gateway's page on currency conversion: refunds are compared in the customer's currency among themselves."""
    paid = seen("captured", customer_amount=Money(1200, "EUR"))
    said = events([paid, refund("r1", 700, 1, settled=True, currency="EUR"), refund("r2", 500, 2, currency="EUR")])
    assert [(event.status, event.fulfilment) for event in said] == [
        ("captured", "release"),
        ("partially_refunded", "release"),
        ("partially_refunded", "hold"),
    ]
    assert said[1].refunded == Money(700, "EUR")
    said = events([paid, refund("r1", 1200, 1, settled=True, currency="EUR")])
    assert (said[-1].status, said[-1].customer_amount) == ("refunded", Money(1200, "EUR"))


@pytest.mark.parametrize("settled", [True, False])
def test_refund_in_a_currency_that_cannot_be_compared_releases_nothing(settled: bool) -> None:
    said = events([seen("captured"), refund("r1", 1, 1, settled=settled, currency="USD")])
    assert said[-1].fulfilment == "hold"


@st.composite
def refund_lives(draw: st.DrawFn) -> list[Observation]:
    """What is observed of some refunds, each accepted and then settled, ended, or neither."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        pence = draw(st.sampled_from((300, 400, 1000)))
        found.append(refund(f"r{number}", pence, 1))
        end = draw(st.sampled_from(("settled", "ended", "")))
        if end:
            found.append(refund(f"r{number}", pence, 2, settled=end == "settled", ended=end == "ended"))
    return found


@given(refund_lives(), st.data())
def test_order_of_arrival_does_not_change_the_money(refunds: list[Observation], data: st.DataObject) -> None:
    observations = [seen("authorised", 1, secured=True), seen("captured", 2), *refunds]
    last = events(observations, rules=EARLY)[-1]
    again = events(data.draw(st.permutations(observations)), rules=EARLY)[-1]
    for name in ("status", "amount", "paid", "refunded", "refunding", "charged_back", "fulfilment"):
        assert getattr(again, name) == getattr(last, name), name
