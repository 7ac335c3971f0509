"""A transaction at which nothing was to be paid makes an event only where somebody knows of the payment."""

from __future__ import annotations

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.messages import Expectation
from paynotify.schemas.money import Money
from tests.fakes.observations import observation

ANNOUNCED = Expectation(order_id="ORD-1", amount=Money(1000, "GBP"), said="1")


def test_moneyless_payment_that_nobody_knows_makes_neither_event_nor_state() -> None:
    before = PaymentState()
    step = advance(before, observation("p1", "unknown", amount=None, paid=None, moneyless=True))
    assert (step.kind, step.event, step.state) == ("moneyless", None, before)


def test_moneyless_payment_that_a_shop_announced_is_unknown_and_held() -> None:
    told = observation("p1", "unknown", amount=None, paid=None, moneyless=True)
    announced_before = advance(PaymentState(), observation("p1", None, expected=ANNOUNCED)).state
    for state, expected in ((PaymentState(), ANNOUNCED), (announced_before, None)):
        event = advance(state, observation("p1", "unknown", amount=None, paid=None, moneyless=True, expected=expected))
        assert event.event is not None
        assert (event.event.status, event.event.fulfilment) == ("unknown", "hold")
    assert told.moneyless


def test_moneyless_end_of_a_known_payment_is_told() -> None:
    state = advance(PaymentState(), observation("p1", "pending", observed_at="2026-06-01T12:00:01.000Z")).state
    told = observation("p1", "unknown", moneyless=True, paid=None, observed_at="2026-06-01T12:00:02.000Z")
    assert advance(state, told).kind == "changed"
