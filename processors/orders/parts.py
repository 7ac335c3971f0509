"""The parts of an order: payments that add up to the expected amount, such as the parcels of a split shipment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paynotify.schemas.messages import PaymentSeen
from paynotify.schemas.money import Money, total
from paynotify.schemas.status import TOOK_MONEY, Status

#: The customer's money is reserved.
_HELD: Final[frozenset[Status]] = frozenset({"authorised", "suspended"})


def has_taken_money(payment: PaymentSeen) -> bool:
    """Whether the payment is a part that took money, although it may have gone back: goods may have left for it."""
    return payment.order_role == "part" and payment.status in TOOK_MONEY


def taken(payments: Iterable[PaymentSeen], currency: str) -> int:
    """What the parts took, in the currency's minor unit."""
    return sum(_value(one, currency) for one in payments if has_taken_money(one))


def others(payments: Iterable[PaymentSeen], payment_id: str, currency: str) -> Money:
    """What the order's parts without that one took or hold."""
    counted = (
        one
        for one in payments
        if one.order_role == "part" and one.payment_id != payment_id and one.status in TOOK_MONEY | _HELD
    )
    return total((_value(one, currency) for one in counted), currency)


def _value(payment: PaymentSeen, currency: str) -> int:
    """The part's amount: what was paid, or else what is to be paid. One in another currency adds nothing."""
    money = payment.paid or payment.amount
    return money.value if money is not None and money.currency == currency else 0
