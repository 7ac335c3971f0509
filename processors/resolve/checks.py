"""The comparison of a payment with what the shop expects of it."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from paynotify.schemas.messages import Checks, Expectation, OrderRole
from paynotify.schemas.money import Money
from paynotify.schemas.status import AmountCheck

AS_EXPECTED: Final = Checks(amount="match", order="expected")


def check(
    expected: Expectation | None,
    order_id: str | None,
    *,
    amount: Money | None,
    paid: Money | None,
    role: OrderRole = "whole",
) -> Checks:
    """Compare a payment with the expectation: by the amount paid, or before that by the amount to be paid.

    A payment that the shop registered by the provider's id belongs to its order even if the provider names no order. A
    payment for an order that another payment has paid is unexpected, unless the order has several by its nature.
    """
    if expected is None:
        return Checks(amount="unknown", order="unexpected")
    paid_twice = paid is not None and is_paid_by_another(expected, role)
    ours = order_id in (None, expected.order_id) and not paid_twice
    return Checks(amount=_amount_check(expected, paid or amount, role), order="expected" if ours else "unexpected")


def _amount_check(expected: Expectation, compared: Money | None, role: OrderRole) -> AmountCheck:
    if compared is None:
        return "unknown"
    if role == "part":
        return "match" if _fits(expected, compared) else "mismatch"
    if compared == expected.amount:
        return "match"
    # of a subscription the first payment was announced; a later one may cost something else
    return "unknown" if role == "repeat" else "mismatch"


def _fits(expected: Expectation, part: Money) -> bool:
    """Whether the part and the order's other parts are together at most what was announced."""
    others = expected.other_parts or Money(0, part.currency)
    if not part.currency == others.currency == expected.amount.currency:
        return False
    return part.value + others.value <= expected.amount.value


def is_paid_by_another(expected: Expectation | None, role: OrderRole) -> bool:
    """Whether another payment has paid the order, which no more than one is to pay."""
    return expected is not None and expected.paid_by is not None and role == "whole" and not expected.several


def judged_by(expected: Expectation | None, checks: Checks, role: OrderRole) -> Expectation | None:
    """The expectation that decides about the payment's amount: none, for a later payment of a subscription that costs
    something else than the announced one."""
    return None if role == "repeat" and checks == Checks(amount="unknown", order="expected") else expected


def amounts_match(judge: Expectation | None, checks: Checks, *, amount: Money | None, paid: Money | None) -> bool:
    """Whether money was captured, in the right amount: as announced, or else all that was to be paid."""
    if paid is None or paid.value <= 0:
        return False
    return paid == amount if judge is None else checks == AS_EXPECTED


def amount_is_certain(judge: Expectation | None, checks: Checks, *, amount: Money | None) -> bool:
    """Whether the amount to be paid is known, and as announced if it was."""
    if amount is None or amount.value <= 0:
        return False
    return judge is None or checks == AS_EXPECTED


def newest_expectation(one: Expectation | None, other: Expectation | None) -> Expectation | None:
    """The newer expectation, whichever is read last: a response may be interpreted by a process that does not know the
    newest one yet, nor that the order was paid by another payment, nor what its other parts are."""
    if one is None or other is None or one == other:
        return one or other
    newest, older = (one, other) if (one.announced, one.said) >= (other.announced, other.said) else (other, one)
    if newest.order_id != older.order_id:
        return newest
    paid_by = None if newest.several else newest.paid_by or older.paid_by
    # ``newest`` may be the older one of what is known of the parts: they change without a new expectation
    parts = max(older, newest, key=lambda known: (known.other_parts is not None, known.parts_version))
    return replace(newest, paid_by=paid_by, other_parts=parts.other_parts, parts_version=parts.parts_version)
