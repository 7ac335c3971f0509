"""The amounts beside each other: what is missing or too much is that of the payment."""

from __future__ import annotations

from typing import Final

import pytest

from paynotify.ops.console.payments.amounts_compared import amounts_compared
from paynotify.schemas.messages import OrderRole
from paynotify.schemas.money import Money
from tests.fakes.console_topics import payment_status

EXPECTED: Final = Money(1000, "JPY")


@pytest.mark.parametrize(
    ("paid", "last"),
    [
        (Money(1000, "JPY"), ("captured", Money(1000, "JPY"))),
        (Money(400, "JPY"), ("missing", Money(600, "JPY"))),
        (Money(1100, "JPY"), ("too much", Money(100, "JPY"))),
        (Money(400, "KWD"), ("captured", Money(400, "KWD"))),
    ],
)
def test_difference_is_that_of_amounts_in_one_currency(paid: Money, last: tuple[str, Money]) -> None:
    assert amounts_compared(EXPECTED, payment_status("p", 1, amount=EXPECTED, paid=paid))[-1] == last


@pytest.mark.parametrize("role", ["part", "repeat"])
def test_nothing_is_missing_of_a_payment_that_is_not_the_whole(role: OrderRole) -> None:
    one = payment_status("p", 1, amount=Money(400, "JPY"), paid=Money(400, "JPY"), order_role=role)
    assert dict(amounts_compared(EXPECTED, one)) == {
        "expected by the shop for the whole order": EXPECTED,
        "to be paid": Money(400, "JPY"),
        "captured": Money(400, "JPY"),
    }
