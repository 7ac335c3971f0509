"""Chargebacks, and captured money that comes back without a refund."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.schemas.messages import Chargeback, Observation
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import chargeback, events, pounds, refund, run, seen

STATUSES: tuple[Status, ...] = get_args(Status)


def test_partial_chargeback_is_not_the_whole() -> None:
    said = events([seen("captured"), chargeback("c1", 300, 1), chargeback("c2", 200, 2)])
    assert [(event.status, event.charged_back, event.paid, event.fulfilment) for event in said] == [
        ("captured", None, pounds(1000), "release"),
        ("charged_back", pounds(300), pounds(1000), "stop"),
        ("charged_back", pounds(500), pounds(1000), "stop"),
    ]


def test_chargeback_without_an_amount_takes_all_that_is_left() -> None:
    said = events([seen("captured"), refund("r1", 400, 1, settled=True), chargeback("c1", None, 2)])
    assert (said[-1].charged_back, said[-1].refunded) == (pounds(600), pounds(400))
    assert events([chargeback("c1", None), seen("captured", 1, amount=None, paid=None)])[-1].charged_back is None


def test_chargeback_before_its_payment_is_kept() -> None:
    (event,) = events([chargeback("c1", 300), seen("captured", 1)])
    assert (event.sequence, event.status, event.charged_back, event.paid) == (
        1,
        "charged_back",
        pounds(300),
        pounds(1000),
    )


def test_chargeback_of_another_currency_counts_as_a_whole_one() -> None:
    other = seen(None, 1, chargeback=Chargeback(chargeback_id="c2", amount=Money(9, "USD")), amount=None)
    assert events([seen("captured"), chargeback("c1", 300), other])[-1].charged_back == pounds(1000)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_chargeback_whose_amount_is_learned_has_it(order: tuple[int, int]) -> None:
    both = (chargeback("c1", 300, 1), chargeback("c1", None, 2))
    assert events([seen("captured"), *(both[number] for number in order)])[-1].charged_back == pounds(300)


def test_status_charged_back_without_a_chargeback_works_as_before() -> None:
    bare = seen("charged_back", 1, amount=None, paid=None, order_id=None)
    said = events([seen("captured"), bare, seen("captured", 2)])
    assert [(event.status, event.charged_back, event.fulfilment) for event in said[1:]] == [
        ("charged_back", None, "stop")
    ]
    both = seen("charged_back", 1, amount=None, chargeback=Chargeback(chargeback_id="c1", amount=pounds(300)))
    assert events([seen("captured"), both])[-1].charged_back == pounds(300)


@given(
    st.permutations(
        [
            seen("authorised", 1),
            seen("captured", 2),
            refund("r1", 400, 3),
            refund("r1", 400, 4, settled=True),
            chargeback("c1", 300, 5),
            chargeback("c2", 100, 5),
        ]
    )
)
def test_order_of_arrival_does_not_change_the_money(observations: list[Observation]) -> None:
    last = events(observations)[-1]
    assert (last.status, last.fulfilment) == ("charged_back", "stop")
    assert (last.amount, last.paid, last.refunded, last.refunding, last.charged_back) == (
        pounds(1000),
        pounds(1000),
        pounds(400),
        None,
        pounds(400),
    )


RETURNS: list[Status] = ["cancelled", "suspended", "declined", "pending", "failed", "expired"]


@pytest.mark.parametrize("status", RETURNS)
def test_money_that_comes_back_without_a_refund_is_held_and_said_once(status: Status) -> None:
    steps = [seen("captured", 1), *(seen(status, at, returnable=True, reason="3") for at in (2, 2, 3))]
    state, said = run(steps)
    assert [step.money_returned for step in said] == [False, True, False, False]
    assert state.last is not None
    assert (state.last.status, state.last.fulfilment, state.last.reason) == ("unknown", "hold", "money_returned")
    assert (state.last.sequence, state.last.paid) == (2, pounds(1000))
    assert events(steps, state) == [], "processed again after a crash"


@pytest.mark.parametrize("status", RETURNS)
def test_capture_that_is_read_after_its_return_releases_nothing(status: Status) -> None:
    steps = [seen(status, 2, returnable=True), seen("captured", 1, returnable=True)]
    state, said = run(steps)
    assert state.last is not None
    assert (state.last.status, state.last.fulfilment, state.last.reason) == ("unknown", "hold", "money_returned")
    assert said[-1].money_returned
    assert events(steps, state) == [], "processed again after a crash"
    assert events([seen("captured", 3, returnable=True)], state)[0].fulfilment == "release"


@pytest.mark.parametrize("status", RETURNS)
def test_card_payment_is_never_taken_back(status: Status) -> None:
    _, said = run([seen("captured", 1), seen(status, 2)])
    assert [step.kind for step in said] == ["changed", "refused"]


@pytest.mark.parametrize("status", ["cancelled", "suspended"])
def test_older_response_takes_no_money_back(status: Status) -> None:
    _, said = run([seen("captured", 2), seen(status, 1, returnable=True)])
    assert [step.kind for step in said] == ["changed", "refused"]


def test_money_authorised_again_is_not_money_that_came_back() -> None:
    _, said = run([seen("captured", 1), seen("authorised", 2, returnable=True)])
    assert [step.kind for step in said] == ["changed", "refused"]


def test_money_that_was_returned_can_be_captured_again_by_a_newer_response_only() -> None:
    steps = [seen("captured", 1), seen("cancelled", 3, returnable=True), seen("captured", 2), seen("captured", 4)]
    said = events(steps)
    assert [(event.status, event.fulfilment, event.reason) for event in said[1:]] == [
        ("unknown", "hold", "money_returned"),
        ("captured", "release", None),
    ]


def test_refund_explains_money_that_comes_back_whenever_it_is_read() -> None:
    returned, refunded = seen("cancelled", 3, returnable=True), refund("r1", 1000, 3, settled=True)
    for later in ([returned, refunded], [refunded, returned]):
        last = events([seen("captured", 1), *later])[-1]
        assert (last.status, last.fulfilment, last.reason) == ("refunded", "stop", None)
    _, said = run([seen("captured", 1), refunded, returned])
    assert not any(step.money_returned for step in said)


def test_partial_refund_does_not_explain_that_all_money_comes_back() -> None:
    steps = [seen("captured", 1), refund("r1", 400, 2, settled=True), seen("cancelled", 3, returnable=True)]
    last = events(steps)[-1]
    assert (last.status, last.refunded, last.reason) == ("unknown", pounds(400), "money_returned")


def test_sums_of_more_than_the_largest_amount_stop_no_payment() -> None:
    most = 10**18 - 1
    said = events(
        [
            seen("authorised"),
            *(refund(f"r{number}", most, number, settled=number < 3) for number in (1, 2, 3)),
            seen("captured", 4),
            *(chargeback(f"c{number}", most, number) for number in (5, 6)),
        ]
    )
    assert said[2].refunding == pounds(most)
    assert (said[-1].refunded, said[-1].charged_back) == (pounds(most), pounds(most))
    assert said[-1].fulfilment == "stop"
