"""The comparison of a payment with what the shop expects of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from schemas.messages import Checks, Expectation
from schemas.money import Money


def check(expected: Expectation | None, order_id: str | None, *, amount: Money | None, paid: Money | None) -> Checks:
    """Compare a payment with the expectation: by the amount paid, or before that by the amount to be paid.

    A payment that the shop registered by the provider's id belongs to its order even if the provider names no order. A
    payment for an order that another payment has paid is unexpected.
    """
    if expected is None:
        return Checks(amount="unknown", order="unexpected")
    compared = paid or amount
    paid_twice = paid is not None and expected.paid_by is not None
    ours = order_id in (None, expected.order_id) and not paid_twice
    return Checks(
        amount="unknown" if compared is None else "match" if compared == expected.amount else "mismatch",
        order="expected" if ours else "unexpected",
    )


AS_EXPECTED: Final = Checks(amount="match", order="expected")


def newest_expectation(one: Expectation | None, other: Expectation | None) -> Expectation | None:
    """The newer expectation, whichever is read last: a response may be interpreted by a process that does not know the
    newest one yet, nor that the order was paid by another payment, nor what its other parts are."""
    if one is None or other is None:
        return one or other
    newest, older = (one, other) if (one.announced, one.said) >= (other.announced, other.said) else (other, one)
    if newest.order_id != older.order_id:
        return newest
    paid_by = None if newest.several else newest.paid_by or older.paid_by
    other_parts = older.other_parts if newest.other_parts is None else newest.other_parts
    return replace(newest, paid_by=paid_by, other_parts=other_parts)
