"""Has an order been paid? One answer from what was registered and the payments' newest events."""

from __future__ import annotations

from typing import Any

import pytest

from paynotify.ops.console.api.order_report import order_report
from paynotify.schemas.api.answers import OrderReport
from paynotify.schemas.messages import Checks, PaymentStatus, encode
from paynotify.schemas.money import Money
from tests.fakes.console_topics import payment_status

AT = "2026-11-29T12:00:00.000Z"
MISMATCH = Checks(amount="mismatch", order="expected")


def payment(number: int = 1, status: str = "captured", amount: int = 1050, **more: Any) -> PaymentStatus:
    took = status in ("captured", "partially_refunded", "refunded", "charged_back")
    fulfilments = {"captured": "release", "partially_refunded": "release", "declined": "stop", "refunded": "stop"}
    settled = {"fulfilment": fulfilments.get(status, "hold"), "paid": Money(amount, "GBP") if took else None}
    return payment_status(
        f"57-9-{number}", 1, "ORD-1", status=status, amount=Money(amount, "GBP"), **{**settled, **more}
    )


def goods(decides: PaymentStatus | None) -> str:
    return "The goods wait."


def answer(*payments: PaymentStatus, expected: int | None = 1050, request: str | None = None) -> OrderReport:
    rows: dict[str, list[dict[str, Any]]] = {"payments": [{"event": encode(one)} for one in payments]}
    if expected is not None:
        rows["expected"] = [
            {"amount": expected, "currency": "GBP", "created_at": AT, "final_by": None, "payment_id": None}
        ]
    if request is not None:
        rows["requests"] = [{"request_id": "R1", "action": "charge", "state": request, "reason": None}]
    found = order_report("shop-uk", "ORD-1", rows, goods, AT)
    assert found is not None
    return found


def test_captured_payment_pays_an_order() -> None:
    found = answer(payment())
    assert (found.paid, found.fulfilment, found.kept, found.missing) == ("yes", "release", Money(1050, "GBP"), None)
    assert found.sentence == "Yes: 10.50 GBP of 10.50 GBP are captured."
    assert [one.payment_id for one in found.payments] == ["57-9-1"]


@pytest.mark.parametrize(
    ("status", "paid", "fulfilment"),
    [
        ("pending", "no", "hold"),
        ("authorised", "no", "hold"),
        ("suspended", "no", "hold"),
        ("unknown", "unclear", "hold"),
        ("declined", "no", "stop"),
        ("captured", "yes", "release"),
        ("partially_refunded", "yes", "release"),
        ("refunded", "no", "stop"),
        ("charged_back", "no", "hold"),
    ],
)
def test_status_of_the_only_payment_answers(status: str, paid: str, fulfilment: str) -> None:
    found = answer(payment(status=status))
    assert (found.paid, found.fulfilment) == (paid, fulfilment)


def test_declined_attempt_beside_a_captured_one_changes_nothing() -> None:
    found = answer(payment(1, "declined"), payment(2, observed_at="2026-11-29T09:00:00.000Z"))
    assert (found.paid, found.fulfilment) == ("yes", "release")
    assert [one.payment_id for one in found.payments] == ["57-9-1", "57-9-2"], "the newest is first"


def test_refund_of_a_part_leaves_the_order_paid() -> None:
    found = answer(payment(status="partially_refunded", refunded=Money(50, "GBP")))
    assert (found.paid, found.kept, found.missing) == ("yes", Money(1000, "GBP"), None)


def test_smaller_amount_than_registered_is_missing_something() -> None:
    found = answer(payment(amount=900, checks=MISMATCH, fulfilment="hold"))
    assert (found.paid, found.fulfilment, found.missing) == ("no", "hold", Money(150, "GBP"))
    assert found.sentence.startswith("In part")


def test_captured_payment_of_an_order_that_nobody_registered_pays_it() -> None:
    found = answer(payment(), expected=None)
    assert (found.paid, found.kept, found.missing) == ("yes", Money(1050, "GBP"), None)


def test_parts_pay_an_order_together() -> None:
    first, second = payment(1, amount=500, order_role="part"), payment(2, amount=550, order_role="part")
    assert (answer(first).paid, answer(first).missing) == ("no", Money(550, "GBP"))
    assert (answer(first, second).paid, answer(first, second).missing) == ("yes", None)
    returned = payment(2, "refunded", amount=550, order_role="part")
    assert answer(first, returned).kept == Money(500, "GBP")


def test_later_payment_of_a_subscription_pays_for_itself() -> None:
    found = answer(payment(1, "declined"), payment(2, order_role="repeat"))
    assert (found.paid, found.fulfilment, found.kept) == ("no", "stop", None)
    assert len(found.payments) == 2


def test_amount_in_another_currency_is_for_a_person() -> None:
    found = answer(payment(amount=0, paid=Money(1050, "EUR")))
    assert (found.paid, found.kept) == ("unclear", None)


@pytest.mark.parametrize(("state", "paid"), [("started", "unclear"), ("uncertain", "unclear"), ("refused", "no")])
def test_charge_of_which_nothing_is_known_leaves_the_answer_open(state: str, paid: str) -> None:
    assert answer(request=state).paid == paid


def test_registered_order_without_a_payment_waits() -> None:
    found = answer()
    assert (found.paid, found.fulfilment, found.missing) == ("no", "hold", Money(1050, "GBP"))
    assert "no provider has reported a payment" in found.sentence


def test_order_of_which_nothing_is_known_has_no_answer() -> None:
    assert order_report("shop-uk", "ORD-1", {"payments": [], "expected": []}, goods, AT) is None


def test_event_of_a_later_release_is_left_out() -> None:
    rows = {"payments": [{"event": b"{}"}, {"event": encode(payment())}]}
    found = order_report("shop-uk", "ORD-1", rows, goods, AT)
    assert found is not None
    assert len(found.payments) == 1
