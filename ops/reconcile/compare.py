"""What two books say of a merchant's payments, side by side: pure, so that the order of reading changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from schemas.money import Money
from schemas.status import Status

Kind = Literal["missing_here", "missing_there", "other_status", "other_amount"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

#: Money went back, which only the order's other requests tell.
AFTER_CAPTURE: Final[frozenset[Status]] = frozenset({"partially_refunded", "refunded", "charged_back"})

#: Of an order's several payments the one that got furthest stands for the order.
_FURTHEST: Final[tuple[Status, ...]] = (
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
    """One payment in a book; what the book does not tell is none. ``at`` is when the payment belongs to.

    ``where`` names the entry's place, such as a line of a file.
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
    """One thing the books tell differently; ``here`` and ``there`` are none where the payment is missing."""

    kind: Kind
    payment_id: str | None
    order_id: str | None
    here: PaymentEntry | None
    there: PaymentEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From ``start`` up to, not including, ``end``; ``slack`` is how far the two books' times may lie apart."""

    start: datetime
    end: datetime
    slack: timedelta
    now: datetime

    def holds(self, at: datetime | None) -> bool:
        """Whether an entry belongs to the period; one without a time does."""
        return at is None or self.start <= at < self.end

    def surely_holds(self, at: datetime | None) -> bool:
        """Whether an entry belongs to the period by the other book's clock too."""
        return at is not None and self.start + self.slack <= at < self.end - self.slack

    def too_new(self, at: datetime | None) -> bool:
        """Whether the payment may just be on its way to us."""
        return at is not None and at >= self.now - self.slack


class Here:
    """Our book: every payment by its id and by its order, whenever it was."""

    def __init__(self, entries: Iterable[PaymentEntry]) -> None:
        self.payments = {one.payment_id: one for one in entries if one.payment_id is not None}
        self.orders: dict[str, list[PaymentEntry]] = {}
        for one in self.payments.values():
            if one.order_id is not None:
                self.orders.setdefault(one.order_id, []).append(one)

    def matching(self, there: PaymentEntry) -> PaymentEntry | None:
        """Ours for theirs: by the payment's id if they tell it, else the order's one that agrees or got furthest."""
        if there.payment_id is not None:
            return self.payments.get(there.payment_id)
        found = self.orders.get(there.order_id or "", [])
        agreeing = [one for one in found if not any(_unequal(one, there))]
        return max(agreeing or found, key=_rank, default=None)


def compare(there: Sequence[PaymentEntry], here: Here, period: Period) -> list[PaymentDifference]:
    """Every difference of the period, in a fixed order."""
    found = [one for entry in there if period.holds(entry.at) for one in _of(entry, here, period)]
    payments = {one.payment_id for one in there}
    orders = {one.order_id for one in there if one.payment_id is None}
    for one in here.payments.values():
        known = one.payment_id in payments or (one.order_id is not None and one.order_id in orders)
        if not known and period.surely_holds(one.at):
            found.append(
                PaymentDifference(
                    kind="missing_there", payment_id=one.payment_id, order_id=one.order_id, here=one, there=None
                )
            )
    return sorted(found, key=_place)


def count_too_new(there: Sequence[PaymentEntry], here: Here, period: Period) -> int:
    """How many of theirs are not here yet and so new that this says nothing."""
    new = [one for one in there if period.holds(one.at) and period.too_new(one.at)]
    return sum(here.matching(one) is None for one in new)


def _of(there: PaymentEntry, here: Here, period: Period) -> Iterator[PaymentDifference]:
    ours = here.matching(there)
    kinds: tuple[Kind, ...]
    if ours is None:
        kinds = () if period.too_new(there.at) else ("missing_here",)
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


_COMPARED: Final[tuple[Kind, ...]] = ("other_status", "other_amount")


def _unequal(here: PaymentEntry, there: PaymentEntry) -> tuple[bool, bool]:
    """Whether status and amounts differ; what one of them doesn't tell is no difference."""
    amounts = ((here.amount, there.amount), (here.paid, there.paid))
    return (
        there.status is not None and here.status != there.status,
        any(ours is not None and theirs is not None and ours != theirs for ours, theirs in amounts),
    )


def _rank(entry: PaymentEntry) -> tuple[int, str]:
    return (_FURTHEST.index(entry.status) if entry.status else -1, entry.payment_id or "")


def _place(difference: PaymentDifference) -> tuple[int, str, str, str]:
    return (
        KINDS.index(difference.kind),
        difference.order_id or "",
        difference.payment_id or "",
        difference.there.where if difference.there else "",
    )


def by_kind(differences: Iterable[PaymentDifference]) -> Mapping[Kind, int]:
    """How many there are of each kind."""
    counts = dict.fromkeys(KINDS, 0)
    for one in differences:
        counts[one.kind] += 1
    return counts
