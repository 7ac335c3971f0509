"""Whether an order has been paid: one answer from what the shop registered and the newest event of each payment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from paynotify.ops.console.explanation import explained
from paynotify.schemas.api.answers import OrderAnswer, OrderExpectation, OrderPayment, OrderRequest, Paid
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.money import Money, total
from paynotify.schemas.status import Fulfilment

#: Money was taken, and not all of it has gone back.
_STANDING: Final = frozenset({"captured", "partially_refunded"})
#: It is not known whether money moved.
_OPEN_REQUESTS: Final = frozenset({"started", "uncertain"})
_RANKS: Final[Mapping[Fulfilment, int]] = {"release": 2, "hold": 1, "stop": 0}

_NOTHING_REPORTED: Final = "The goods wait: the provider has reported no payment of this order yet."

IndexRows = Mapping[str, Sequence[Mapping[str, Any]]]


def order_answer(merchant: str, order_id: str, rows: IndexRows, as_of: str) -> OrderAnswer | None:
    """The answer from what the index has of the order, by table; None if it has nothing."""
    events = _events(row["event"] for row in rows.get("payments", ()))
    expected = next((_expectation(row) for row in rows.get("expected", ())), None)
    requests = tuple(_request(row) for row in rows.get("requests", ()))
    if not events and expected is None and not requests and not rows.get("overdue"):
        return None
    own = [one for one in events if one.order_role != "repeat"]  # a later payment of a subscription pays for itself
    currency = _currency(own, expected)
    taken = _taken(own, currency) if currency is not None else None
    deciding = max(own, key=lambda one: _RANKS[one.fulfilment], default=None)
    return OrderAnswer(
        merchant=merchant,
        order_id=order_id,
        paid=is_paid(own, expected, taken, any(one.state in _OPEN_REQUESTS for one in requests)),
        fulfilment=deciding.fulfilment if deciding is not None else "hold",
        sentence=explained(deciding) if deciding is not None else _NOTHING_REPORTED,
        expected=expected,
        taken=taken,
        refunded=_sum((one.refunded for one in own), currency) if currency is not None else None,
        missing=_missing(expected, taken),
        overdue=any(row["state"] == "raised" for row in rows.get("overdue", ())),
        payments=tuple(map(_payment, events)),
        requests=requests,
        as_of=as_of,
    )


def is_paid(
    payments: Sequence[PaymentStatus], expected: OrderExpectation | None, taken: Money | None, is_open: bool
) -> Paid:
    """Whether these payments pay for an order. ``is_open``: a request may have taken money, and nobody knows yet."""
    standing = [one for one in payments if one.status in _STANDING]
    if any(one.order_role == "whole" and _is_right(one, expected) for one in standing):
        return "yes"
    parts = [one for one in standing if one.order_role == "part"]
    if parts and expected is not None and len(parts) == len(standing):
        return "yes" if _missing(expected, taken) is None else "no"
    return "unclear" if standing or is_open or any(one.status == "unknown" for one in payments) else "no"


def _is_right(payment: PaymentStatus, expected: OrderExpectation | None) -> bool:
    """Whether a payment of all of the order took the amount that is registered now, if one is."""
    if payment.checks.amount == "mismatch":
        return False
    money = payment.paid or payment.amount
    return expected is None or (
        money is not None and money.currency == expected.amount.currency and money.value >= expected.amount.value
    )


def _currency(payments: Sequence[PaymentStatus], expected: OrderExpectation | None) -> str | None:
    """The registered currency, or else that of the newest payment that has an amount."""
    if expected is not None:
        return expected.amount.currency
    return next((money.currency for one in payments if (money := one.paid or one.amount) is not None), None)


def _taken(payments: Sequence[PaymentStatus], currency: str) -> Money:
    """What the payments took that stand; a part that was refunded changes nothing about it."""
    kept = (one.paid or one.amount for one in payments if one.status in _STANDING)
    return _sum(kept, currency)


def _sum(amounts: Iterable[Money | None], currency: str) -> Money:
    """One in another currency adds nothing."""
    return total((one.value for one in amounts if one is not None and one.currency == currency), currency)


def _missing(expected: OrderExpectation | None, taken: Money | None) -> Money | None:
    if expected is None:
        return None
    value = expected.amount.value - (taken.value if taken is not None else 0)
    return Money(value, expected.amount.currency) if value > 0 else None


def _events(values: Iterable[bytes]) -> list[PaymentStatus]:
    """The newest observed first; without those of a later release."""
    found = []
    for value in values:
        try:
            found.append(decode(value, PaymentStatus))
        except UnreadableError:
            continue
    return sorted(found, key=lambda one: (one.observed_at, one.payment_id), reverse=True)


def _expectation(row: Mapping[str, Any]) -> OrderExpectation:
    return OrderExpectation(
        amount=Money(row["amount"], row["currency"]),
        created_at=row["created_at"],
        final_by=row["final_by"],
        payment_id=row["payment_id"],
    )


def _request(row: Mapping[str, Any]) -> OrderRequest:
    return OrderRequest(request_id=row["request_id"], action=row["action"], state=row["state"], reason=row["reason"])


def _payment(one: PaymentStatus) -> OrderPayment:
    return OrderPayment(
        payment_id=one.payment_id,
        provider=one.provider,
        sequence=one.sequence,
        status=one.status,
        fulfilment=one.fulfilment,
        role=one.order_role,
        amount=one.amount,
        paid=one.paid,
        refunded=one.refunded,
        observed_at=one.observed_at,
    )
