"""The refunds of a payment: which are settled, and the status that follows."""

from __future__ import annotations

from schemas.messages import Refund
from schemas.money import Money
from schemas.status import Status


def merged(refunds: tuple[Refund, ...], seen: Refund | None) -> tuple[Refund, ...]:
    """The refunds with ``seen`` added or settled. A settled refund never changes again, whatever is repeated."""
    if seen is None:
        return refunds
    known = next((one for one in refunds if one.refund_id == seen.refund_id), None)
    if known is not None and (known.settled or not seen.settled):
        return refunds
    return (*(one for one in refunds if one.refund_id != seen.refund_id), seen)


def refunded_amount(refunds: tuple[Refund, ...]) -> Money | None:
    settled = [one.amount for one in refunds if one.settled]
    if not settled:
        return None
    return Money(sum(one.value for one in settled), settled[0].currency)


def with_refunds(reported: Status, paid: Money | None, refunded: Money | None) -> Status:
    """The reported status, or a refunded one if captured money went back in part or in whole."""
    if refunded is None or reported not in ("captured", "partially_refunded"):
        return reported
    if paid is None or refunded.currency != paid.currency or refunded.value < paid.value:
        return "partially_refunded"
    return "refunded"
