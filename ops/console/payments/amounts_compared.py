"""What the shop expects of a payment beside what was paid."""

from __future__ import annotations

from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money


def amounts_compared(expected: Money | None, event: PaymentStatus | None) -> list[tuple[str, Money]]:
    """Each known amount with its name, and last what is missing or too much. Of a part of an order or a later payment
    of a subscription nothing is: it is not to pay what the shop expects alone."""
    is_whole = event is None or event.order_role == "whole"
    name = "expected by the shop" if is_whole else "expected by the shop for the whole order"
    amounts: list[tuple[str, Money | None]] = [(name, expected)]
    if event is not None:
        amounts += [
            ("to be paid", event.amount),
            ("in the customer's currency", event.customer_amount),
            ("captured", event.paid),
            ("refund under way", event.refunding),
            ("refunded", event.refunded),
            ("charged back", event.charged_back),
            _difference(expected if is_whole else None, event.paid),
        ]
    return [(name, amount) for name, amount in amounts if amount is not None]


def _difference(expected: Money | None, paid: Money | None) -> tuple[str, Money | None]:
    if expected is None or paid is None or paid.currency != expected.currency or paid.value == expected.value:
        return "", None
    left = expected.value - paid.value
    return "missing" if left > 0 else "too much", Money(abs(left), expected.currency)
