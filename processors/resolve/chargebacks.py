"""The chargebacks of a payment and what they took."""

from __future__ import annotations

from msgspec.structs import replace

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.schemas.messages import Chargeback
from paynotify.schemas.money import Money, total


def with_chargeback(state: PaymentState, seen: Chargeback | None) -> PaymentState:
    """The state with the chargeback. Of two amounts for the same one the larger counts, in whatever order they come."""
    if seen is None:
        return state
    known = next((one for one in state.chargebacks if one.chargeback_id == seen.chargeback_id), None)
    if known is not None and _size(seen) <= _size(known):
        return state
    others = tuple(one for one in state.chargebacks if one.chargeback_id != seen.chargeback_id)
    return replace(state, chargebacks=(*others, seen))


def _size(chargeback: Chargeback) -> tuple[int, str]:
    amount = chargeback.amount
    return (amount.value, amount.currency) if amount is not None else (-1, "")


def open_chargebacks(state: PaymentState) -> tuple[Chargeback, ...]:
    """The chargebacks that no correction declared void."""
    if not state.chargebacks:
        return ()
    return tuple(one for one in state.chargebacks if one.chargeback_id not in state.overridden)


def charged_back_amount(state: PaymentState, whole: Money | None, refunded: Money | None) -> Money | None:
    """What the chargebacks took: their sum, or all that was left of the payment if one of them names no amount."""
    taken = open_chargebacks(state)
    if not taken:
        return None
    amounts = [one.amount for one in taken if one.amount is not None]
    currencies = {one.currency for one in amounts}
    if len(amounts) == len(taken) and len(currencies) == 1:
        return total((one.value for one in amounts), currencies.pop())
    if whole is None:
        return None
    gone = refunded.value if refunded is not None and refunded.currency == whole.currency else 0
    named = total((one.value for one in amounts if one.currency == whole.currency), whole.currency)
    return Money(max(whole.value - gone, named.value), whole.currency)
