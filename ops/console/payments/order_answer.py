"""Whether an order has been paid, in one sentence, from the newest events of its payments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from paynotify.ops.console.payments.explanation import money_or_nothing
from paynotify.schemas.messages import PaymentStatus, decode_or_none
from paynotify.schemas.money import Money, total
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
    "only_repeats",
    "nothing",
]

_ANSWERS: Final[Mapping[Verdict, str]] = {
    "paid": "Yes: {kept} of {due} are captured.",
    "paid_several_times": "Yes, more than once: {kept} are captured, by {count} payments.",
    "paid_too_much": "Yes, and too much: {kept} are captured and {due} were to be paid.",
    "paid_in_part": "In part: {kept} of {due} are captured.",
    "partly_refunded": "Yes: {taken} were captured, of which {kept} are left after refunds.",
    "money_gone": "Not any more: the money was captured and went back.",
    "reserved": "Not yet: the money is reserved and not captured.",
    "open": "Not yet: the payment has not ended at the customer, the bank or the provider.",
    "unclear": "Unclear: the provider told something that a person has to look at.",
    "ended": "No: every payment of it ended without money.",
    "only_repeats": "No: only later payments of a subscription are reported, and each of them pays for itself.",
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
    own = [one for one in payments if one.order_role != "repeat"]  # those of a subscription pay for themselves
    due = expected or _asked(own)
    currency = due.currency if due is not None else next((one.paid.currency for one in own if one.paid), "")
    counted = [one.paid.value for one in own if one.paid is not None and one.paid.currency == currency and _counts(one)]
    kept = _sum((_kept(one, currency) for one in own), currency, own)
    taken = _sum(counted, currency, own)
    verdict = "only_repeats" if payments and not own else _verdict(due, taken, kept, own)
    count = sum(_kept(one, currency) > 0 for one in own)
    amounts = {"kept": kept, "due": due, "taken": taken}
    words = {name: money_or_nothing(one) for name, one in amounts.items()}
    return OrderAnswer(verdict, _ANSWERS[verdict].format(**words, count=count), due, kept)


def newest_events(rows: Iterable[Mapping[str, Any]]) -> list[PaymentStatus]:
    """The newest event of each payment, the newest observed first; without those of a later release."""
    events = (decode_or_none(row["event"], PaymentStatus) for row in rows)
    known = (one for one in events if one is not None)
    return sorted(known, key=lambda one: (one.observed_at, one.payment_id), reverse=True)


def _asked(payments: Sequence[PaymentStatus]) -> Money | None:
    """What was to be paid of an order that nobody announced: by its parts together, or else by the payment that took
    money, or may, rather than by an attempt that ended."""
    parts = [one.amount for one in payments if one.order_role == "part" and one.status not in ENDED_WITHOUT_MONEY]
    amounts = [one for one in parts if one is not None]
    if amounts and len(amounts) == len(parts) and len({one.currency for one in amounts}) == 1:
        return total((one.value for one in amounts), amounts[0].currency)
    by_likelihood = sorted(payments, key=lambda one: (one.status not in TOOK_MONEY, one.status in ENDED_WITHOUT_MONEY))
    return next((one.amount for one in by_likelihood if one.amount is not None), None)


def _verdict(due: Money | None, taken: Money | None, kept: Money | None, payments: Sequence[PaymentStatus]) -> Verdict:
    statuses = {one.status for one in payments}
    if not payments:
        return "nothing"
    if kept is not None and kept.value > 0:
        return "unclear" if due is None else _compared(due, taken or kept, kept, payments)
    if "unknown" in statuses:
        return "unclear"
    if "authorised" in statuses and not statuses & _STANDING:
        return "reserved"
    if statuses & {"refunded", "charged_back"} or any(_is_positive(one.paid, due) for one in payments):
        return "money_gone"
    if statuses & TOOK_MONEY:
        return "unclear"
    if "authorised" in statuses:
        return "reserved"
    return "ended" if statuses <= ENDED_WITHOUT_MONEY else "open"


def _compared(due: Money, taken: Money, kept: Money, payments: Sequence[PaymentStatus]) -> Verdict:
    if kept.value == due.value:
        return "paid"
    if kept.value > due.value:
        captured = [one for one in payments if one.status in TOOK_MONEY]
        is_too_much = len(captured) == 1 or any(one.fulfilment == "hold" for one in captured)
        return "paid_too_much" if is_too_much else "paid_several_times"
    return "partly_refunded" if taken.value >= due.value else "paid_in_part"


#: Captured, and not gone as a whole.
_STANDING: Final = frozenset({"captured", "partially_refunded"})


def _counts(payment: PaymentStatus) -> bool:
    """Whether what it captured has paid for goods, although some of it went back since. A payment that went back as a
    whole has not, but for a part of the order, whose goods have left."""
    return payment.status in _STANDING or (payment.status == "refunded" and payment.order_role == "part")


def _is_positive(paid: Money | None, due: Money | None) -> bool:
    return paid is not None and paid.value > 0 and due is not None and paid.currency == due.currency


def _sum(values: Iterable[int], currency: str, payments: Sequence[PaymentStatus]) -> Money | None:
    """The sum; None if no payment has money of that currency."""
    is_known = any(one.paid is not None and one.paid.currency == currency for one in payments)
    return total(values, currency) if is_known else None


def _kept(payment: PaymentStatus, currency: str) -> int:
    """What was captured and did not go back. After a chargeback, even of a part, nothing is: the goods are recalled."""
    if payment.status not in _STANDING:
        return 0
    if payment.paid is None or payment.paid.currency != currency:
        return 0
    return max(0, payment.paid.value - (payment.refunded.value if payment.refunded is not None else 0))
