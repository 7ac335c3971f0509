"""Compares two sets of a merchant's payments: ours ("here") with the provider's or the shop's ("there").

Pure functions: the order in which the two sides were read does not change the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from paynotify.schemas.messages import DIFFERENCE_KINDS, DifferenceKind
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status

#: Statuses of payments whose money went back, which only the order's other transactions show.
AFTER_CAPTURE: Final[frozenset[Status]] = frozenset({"partially_refunded", "refunded", "charged_back"})

#: Of an order's payments, the one furthest in this order represents the order.
_PROGRESS: Final[tuple[Status, ...]] = (
    "unknown",
    "failed",
    "expired",
    "cancelled",
    "declined",
    "pending",
    "suspended",
    "authorised",
    "captured",
    "partially_refunded",
    "refunded",
    "charged_back",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEntry:
    """One side's view of a payment; a field is None if that side does not state it.

    ``at`` is the time that assigns the payment to a period. ``where`` is the entry's position, such
    as a line of a file.
    """

    payment_id: str | None
    order_id: str | None
    status: Status | None
    amount: Money | None
    paid: Money | None = None
    at: datetime | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDifference:
    """One difference between the two sides; ``here`` or ``there`` is None if the payment is missing on that side."""

    kind: DifferenceKind
    payment_id: str | None
    order_id: str | None
    here: PaymentEntry | None
    there: PaymentEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start`` up to, not including, ``end``; ``slack`` is how far the times of the two sides may differ."""

    start: datetime
    end: datetime
    slack: timedelta
    now: datetime

    def contains(self, at: datetime | None) -> bool:
        """Whether an entry belongs to the period; an entry without a time does."""
        return at is None or self.start <= at < self.end

    def surely_contains(self, at: datetime | None) -> bool:
        """Whether an entry belongs to the period by the other side's time too."""
        return at is not None and self.start + self.slack <= at < self.end - self.slack

    def is_too_new(self, at: datetime | None) -> bool:
        """Whether the payment is so recent that its notification may still be on its way."""
        return at is not None and at >= self.now - self.slack


class OwnPayments:
    """Our payments of all times, by payment id and by order id."""

    def __init__(self, entries: Iterable[PaymentEntry]) -> None:
        self.payments = {one.payment_id: one for one in entries if one.payment_id is not None}
        self.orders: dict[str, list[PaymentEntry]] = {}
        for one in self.payments.values():
            if one.order_id is not None:
                self.orders.setdefault(one.order_id, []).append(one)

    def matching(self, there: PaymentEntry) -> PaymentEntry | None:
        """Our payment for their entry.

        It is found by payment id if they state it. Otherwise it is the order's payment that agrees with the entry, or
        else the one that progressed furthest.
        """
        if there.payment_id is not None:
            return self.payments.get(there.payment_id)
        candidates = self.orders.get(there.order_id or "", [])
        agreeing = [one for one in candidates if not any(_unequal(one, there))]
        return max(agreeing or candidates, key=_rank, default=None)


def compare(there: Sequence[PaymentEntry], here: OwnPayments, period: Period) -> list[PaymentDifference]:
    """The differences of the period, in a fixed order."""
    found = [one for entry in there if period.contains(entry.at) for one in _differences(entry, here, period)]
    payments = {one.payment_id for one in there}
    orders = {one.order_id for one in there if one.payment_id is None}
    for one in here.payments.values():
        known = one.payment_id in payments or (one.order_id is not None and one.order_id in orders)
        if not known and period.surely_contains(one.at):
            found.append(
                PaymentDifference(
                    kind="missing_there", payment_id=one.payment_id, order_id=one.order_id, here=one, there=None
                )
            )
    return sorted(found, key=_sort_key)


def count_too_new(there: Sequence[PaymentEntry], here: OwnPayments, period: Period) -> int:
    """How many of their payments are not here yet but are too recent to count as missing."""
    new = [one for one in there if period.contains(one.at) and period.is_too_new(one.at)]
    return sum(here.matching(one) is None for one in new)


def _differences(there: PaymentEntry, here: OwnPayments, period: Period) -> Iterator[PaymentDifference]:
    ours = here.matching(there)
    kinds: tuple[DifferenceKind, ...]
    if ours is None:
        kinds = () if period.is_too_new(there.at) else ("missing_here",)
    else:
        kinds = tuple(kind for kind, unequal in zip(_COMPARED, _unequal(ours, there), strict=True) if unequal)
    for kind in kinds:
        yield PaymentDifference(
            kind=kind,
            payment_id=there.payment_id or (ours.payment_id if ours else None),
            order_id=there.order_id or (ours.order_id if ours else None),
            here=ours,
            there=there,
        )


_COMPARED: Final[tuple[DifferenceKind, ...]] = ("other_status", "other_amount")


def _unequal(here: PaymentEntry, there: PaymentEntry) -> tuple[bool, bool]:
    """Whether the statuses and the amounts differ. A value that one side does not state is not a difference."""
    amounts = ((here.amount, there.amount), (here.paid, there.paid))
    return (
        there.status is not None and here.status != there.status,
        any(ours is not None and theirs is not None and ours != theirs for ours, theirs in amounts),
    )


def _rank(entry: PaymentEntry) -> tuple[int, str]:
    return (_PROGRESS.index(entry.status) if entry.status else -1, entry.payment_id or "")


def _sort_key(difference: PaymentDifference) -> tuple[int, str, str, str]:
    return (
        DIFFERENCE_KINDS.index(difference.kind),
        difference.order_id or "",
        difference.payment_id or "",
        difference.there.where if difference.there else "",
    )


def by_kind(differences: Iterable[PaymentDifference]) -> Mapping[DifferenceKind, int]:
    """The number of differences of each kind."""
    counts = dict.fromkeys(DIFFERENCE_KINDS, 0)
    for one in differences:
        counts[one.kind] += 1
    return counts
