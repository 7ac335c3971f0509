"""The refunds of a payment: which are under way, which are settled, and how much of the payment they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.schemas.messages import Refund
from paynotify.schemas.money import Money, total


def with_refund(state: PaymentState, seen: Refund | None, moment: tuple[str, str]) -> PaymentState:
    """The state with the refund as its newest observation has it. A settled one never changes again."""
    if seen is None:
        return state
    known = next((one for one in state.refunds if one.refund_id == seen.refund_id), None)
    if known is not None and (known.settled or not (seen.settled or moment > _time(state, seen))):
        return state
    others = tuple(one for one in state.refunds if one.refund_id != seen.refund_id)
    times = {name: time for name, time in state.refund_times.items() if name != seen.refund_id}
    if not seen.settled:  # a settled one needs no time
        times[seen.refund_id] = moment
    return replace(state, refunds=(*others, seen), refund_times=times)


def _time(state: PaymentState, refund: Refund) -> tuple[str, str]:
    return state.refund_times.get(refund.refund_id, ("", ""))


class RefundSums(msgspec.Struct, frozen=True, gc=False):
    """What went back and what is under way.

    ``all_settled``: all of the payment went back; ``all_under_way``: it did, or will. ``unclear``: that can't be known,
    as the currencies differ or the payment's amount is unknown. Goods must not leave then.
    """

    settled: Money | None = None
    under_way: Money | None = None
    all_settled: bool = False
    all_under_way: bool = False
    unclear: bool = False


_NO_REFUNDS: Final = RefundSums()


def refund_sums(state: PaymentState, whole: Money | None, customer_amount: Money | None) -> RefundSums:
    """Add up the refunds. ``whole`` is the payment's amount in the merchant's currency, ``customer_amount`` that in
    the customer's: a refund is compared with the one in its own currency."""
    if not state.refunds:
        return _NO_REFUNDS
    live = [one for one in state.refunds if not one.ended and one.refund_id not in state.overridden]
    if not live:
        return _NO_REFUNDS
    settled = _sum(one.amount for one in live if one.settled)
    under_way = _sum(one.amount for one in live if not one.settled)
    currencies = {one.amount.currency for one in live}
    basis = next((one for one in (whole, customer_amount) if one is not None and {one.currency} == currencies), None)
    if basis is None:
        return RefundSums(settled, under_way, unclear=True)
    gone, going = (one.value if one is not None else 0 for one in (settled, under_way))
    return RefundSums(
        settled,
        under_way,
        all_settled=settled is not None and gone >= basis.value,
        all_under_way=gone + going >= basis.value,
    )


def _sum(amounts: Iterable[Money]) -> Money | None:
    """The sum; of several currencies, that of the first one: they cannot be added."""
    listed = list(amounts)
    if not listed:
        return None
    currency = listed[0].currency
    return total((one.value for one in listed if one.currency == currency), currency)
