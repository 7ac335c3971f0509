"""Whether an order has been paid: there is an answer for whatever its payments are, and it is right."""

from __future__ import annotations

import itertools
from typing import Any, Final, get_args

import pytest
from msgspec.structs import replace

from paynotify.ops.console.payments.order_answer import Verdict, order_answer
from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.status import ENDED_WITHOUT_MONEY, Status
from tests.fakes.console_topics import payment_status

GBP: Final = Money(1000, "GBP")
HALF: Final = Money(500, "GBP")


def paid(status: Status = "captured", amount: Money | None = GBP, **more: Any) -> PaymentStatus:
    return payment_status("p", 1, "O", **{"status": status, "amount": GBP, "paid": amount, **more})


def test_answer_exists_for_whatever_two_payments_are() -> None:
    reached = set()
    amounts = (None, HALF, GBP, Money(1000, "EUR"))
    for first, second in itertools.combinations_with_replacement(get_args(Status), 2):
        for expected, one, other, back in itertools.product((None, GBP), amounts, amounts, (None, HALF)):
            for fulfilment in ("release", "hold"):
                payments = [paid(first, one, refunded=back), paid(second, other, fulfilment=fulfilment)]
                found = order_answer(expected, payments)
                reached.add(found.verdict)
                assert found.sentence.endswith(".")
                assert "{" not in found.sentence
                if found.verdict == "ended":
                    assert {first, second} <= ENDED_WITHOUT_MONEY
    reached |= {order_answer(GBP, []).verdict, order_answer(GBP, [paid(order_role="repeat")]).verdict}
    assert reached == set(get_args(Verdict))


@pytest.mark.parametrize(
    ("payments", "verdict", "begins"),
    [
        ([paid()], "paid", "Yes: 10.00 GBP of 10.00 GBP are captured."),
        ([paid("declined", None), paid()], "paid", "Yes: 10.00 GBP"),
        ([paid(), paid(fulfilment="hold")], "paid_too_much", "Yes, and too much: 20.00 GBP"),
        ([paid(), paid()], "paid_several_times", "Yes, more than once: 20.00 GBP are captured, by 2 payments."),
        ([paid("refunded", refunded=GBP), paid(amount=HALF, fulfilment="hold")], "paid_in_part", "In part: 5.00 GBP"),
        ([paid("charged_back"), paid(amount=HALF, fulfilment="hold")], "paid_in_part", "In part: 5.00 GBP of 10.00"),
        (
            [paid(amount=HALF, order_role="part"), paid("refunded", HALF, refunded=HALF, order_role="part")],
            "partly_refunded",
            "Yes: 10.00 GBP were captured, of which 5.00 GBP are left",
        ),
        ([paid("refunded", refunded=GBP), paid("authorised", None)], "reserved", "Not yet: the money is reserved"),
        ([paid(amount=Money(1500, "GBP"))], "paid_too_much", "Yes, and too much: 15.00 GBP"),
        ([paid(order_role="repeat")], "only_repeats", "No: only later payments of a subscription"),
        ([paid(amount=HALF, order_role="part")], "paid_in_part", "In part: 5.00 GBP of 10.00 GBP"),
        ([paid("partially_refunded", refunded=HALF)], "partly_refunded", "Yes: 10.00 GBP were captured, of which 5.00"),
        ([paid("refunded", refunded=GBP)], "money_gone", "Not any more"),
        ([paid("charged_back")], "money_gone", "Not any more"),
        ([paid("charged_back", charged_back=HALF)], "money_gone", "Not any more"),
        ([paid("unknown", reason="money_returned")], "unclear", "Unclear"),
        ([paid(amount=Money(1000, "EUR"))], "unclear", "Unclear"),
        ([paid("authorised", None)], "reserved", "Not yet: the money is reserved"),
        ([paid("pending", None)], "open", "Not yet"),
        ([paid("expired", None), paid("declined", None)], "ended", "No: every payment"),
        ([], "nothing", "No: no provider"),
    ],
)
def test_answer_is_that_of_the_payments(payments: list[PaymentStatus], verdict: str, begins: str) -> None:
    found = order_answer(GBP, payments)
    assert (found.verdict, found.sentence.startswith(begins)) == (verdict, True), found.sentence


def test_order_that_nobody_announced_is_compared_with_what_was_to_be_paid() -> None:
    assert order_answer(None, [paid()]).verdict == "paid"
    assert order_answer(None, [paid(amount=HALF)]).verdict == "paid_in_part"


def test_attempt_that_ended_does_not_say_what_was_to_be_paid() -> None:
    declined = replace(paid("declined", None), amount=HALF)
    for payments in ([declined, paid()], [paid(), declined]):
        assert order_answer(None, payments).sentence == "Yes: 10.00 GBP of 10.00 GBP are captured."


def test_captured_part_does_not_pay_for_the_parts_that_are_open() -> None:
    parts = [paid(amount=HALF, order_role="part"), paid("authorised", None, order_role="part")]
    parts = [replace(one, amount=HALF) for one in parts]
    assert order_answer(None, parts).sentence == "In part: 5.00 GBP of 10.00 GBP are captured."


def test_captured_money_of_an_unknown_amount_to_be_paid_is_unclear() -> None:
    assert order_answer(None, [replace(paid(fulfilment="hold"), amount=None)]).verdict == "unclear"
