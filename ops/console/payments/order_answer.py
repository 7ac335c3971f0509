"""Whether an order has been paid, in one sentence, from the newest events of its payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money, to_major, total
from paynotify.schemas.status import ENDED_WITHOUT_MONEY, TOOK_MONEY

Verdict = Literal[
    "paid",
    "paid_several_times",
    "paid_too_much",
    "paid_in_part",
    "partly_refunded",
    "money_gone",
    "reserved",
    "open",
    "unclear",
    "ended",
    "nothing",
]

_ANSWERS: Final[Mapping[Verdict, str]] = {
    "paid": "Yes: {kept} of {due} are captured.",
    "paid_several_times": "Yes: {kept} are captured, by payments that are each to pay {due}.",
    "paid_too_much": "Yes, and too much: {kept} are captured and {due} were to be paid.",
    "paid_in_part": "In part: {kept} of {due} are captured.",
    "partly_refunded": "Yes: {taken} were captured, of which {kept} are left after refunds.",
    "money_gone": "Not any more: the money was captured and went back.",
    "reserved": "Not yet: the money is reserved and not captured.",
    "open": "Not yet: the payment has not ended at the customer, the bank or the provider.",
    "unclear": "Unclear: the provider told something that a person has to look at.",
    "ended": "No: every payment of it ended without money.",
    "nothing": "No: no provider has reported a payment of it.",
}


class OrderAnswer(NamedTuple):
    """The verdict and its sentence. ``due`` is what the shop expects, or else what was to be paid."""

    verdict: Verdict
    sentence: str
    due: Money | None
    kept: Money | None


def order_answer(expected: Money | None, payments: Sequence[PaymentStatus]) -> OrderAnswer:
    """Whether the order is paid: what is captured and did not go back, compared with what was to be paid."""
    payments = [one for one in payments if one.order_role != "repeat"]  # those of a subscription pay for themselves
    due = expected or next((one.amount for one in payments if one.amount is not None), None)
    currency = due.currency if due is not None else next((one.paid.currency for one in payments if one.paid), "")
    taken = [one.paid for one in payments if one.paid is not None and one.paid.currency == currency]
    kept = total((_kept(one, currency) for one in payments), currency) if taken else None
    verdict = _verdict(due, total((one.value for one in taken), currency) if taken else None, kept, payments)
    words = {
        "kept": _text(kept),
        "due": _text(due),
        "taken": _text(total((one.value for one in taken), currency) if taken else None),
    }
    return OrderAnswer(verdict, _ANSWERS[verdict].format_map(words), due, kept)


def _verdict(due: Money | None, taken: Money | None, kept: Money | None, payments: Sequence[PaymentStatus]) -> Verdict:
    statuses = {one.status for one in payments}
    if not payments:
        return "nothing"
    if kept is not None and kept.value > 0:
        if due is None or kept.value == due.value:
            return "paid"
        if kept.value > due.value:
            held = any(one.status in TOOK_MONEY and one.fulfilment == "hold" for one in payments)
            return "paid_too_much" if held else "paid_several_times"
        return "partly_refunded" if taken is not None and taken.value >= due.value else "paid_in_part"
    if "unknown" in statuses:
        return "unclear"
    if (taken is not None and taken.value > 0) or statuses & {"refunded", "charged_back"}:
        return "money_gone"
    if statuses & TOOK_MONEY:
        return "unclear"
    if "authorised" in statuses:
        return "reserved"
    return "ended" if statuses <= ENDED_WITHOUT_MONEY else "open"


def _kept(payment: PaymentStatus, currency: str) -> int:
    """What was captured and did not go back. After a chargeback, even of a part, nothing is: the goods are recalled."""
    if payment.status not in ("captured", "partially_refunded"):
        return 0
    if payment.paid is None or payment.paid.currency != currency:
        return 0
    return max(0, payment.paid.value - (payment.refunded.value if payment.refunded is not None else 0))


def _text(amount: Money | None) -> str:
    return "nothing" if amount is None else f"{to_major(amount)} {amount.currency}"
