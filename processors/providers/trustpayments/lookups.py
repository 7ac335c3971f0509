"""Groups Trust Payments' lookups into queries, and finds each lookup's records in the responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import Failed, FurtherLookup, LookupOutcome, RetryLater, Succeeded
from paynotify.processors.providers.trustpayments.children import is_payout, unresolved_chargebacks
from paynotify.processors.providers.trustpayments.codes import uncertain
from paynotify.processors.providers.trustpayments.contract import TRANSACTION
from paynotify.processors.providers.trustpayments.gathered_query import Part, PartFailure, PartResponse
from paynotify.processors.providers.trustpayments.records import (
    PAYMENT_KINDS,
    TransactionRecord,
    by_reference,
    is_reference,
)
from paynotify.processors.providers.trustpayments.settlement import may_be_parcel
from paynotify.schemas.messages import RECOVERY, REFERENCES, Lookup
from paynotify.schemas.reasons import DeadReason

#: Requests that say nothing of a payment, nor of one that they name as their parent.
_PAYMENTLESS: Final = frozenset({"AUTH", "ACCOUNTCHECK"})

TRANSACTIONS: Final = "transactionreference"
ORDERS: Final = "orderreference"


class QueryFilter(msgspec.Struct, frozen=True, gc=False):
    """The filter a lookup needs; without values it can't be looked up."""

    field: str
    values: tuple[str, ...]


def filter_of(lookup: Lookup) -> QueryFilter:
    """By the transaction, or by many; by the order where the lookup names no transaction."""
    if lookup.reference is not None:
        return QueryFilter(TRANSACTIONS, (lookup.reference,) if is_reference(lookup.reference) else ())
    if REFERENCES in lookup.arguments:
        names = dict.fromkeys(lookup.arguments[REFERENCES].split())
        return QueryFilter(TRANSACTIONS, tuple(one for one in names if is_reference(one)))
    order = lookup.arguments.get(ORDERS, "")
    return QueryFilter(ORDERS, (order,) if order else ())


def grouped(lookups: Sequence[WaitingLookup], most_values: int) -> list[tuple[WaitingLookup, ...]]:
    """The lookups that one query serves: many transactions in one, each order in one of its own.

    A lookup of many transactions is never split here, so its group alone may have more values.
    """
    by_filter: dict[QueryFilter, list[WaitingLookup]] = {}
    for one in lookups:
        by_filter.setdefault(filter_of(one.lookup), []).append(one)
    groups: list[tuple[WaitingLookup, ...]] = []
    values: set[str] = set()
    together: list[WaitingLookup] = []
    for asked, waiting in by_filter.items():
        if asked.field != TRANSACTIONS or not asked.values:
            groups.append(tuple(waiting))
            continue
        if together and len(values) + sum(one not in values for one in asked.values) > most_values:
            groups.append(tuple(together))
            values, together = set(), []
        values.update(asked.values)
        together += waiting
    return [*groups, tuple(together)] if together else groups


class FoundRecords:
    """The responses' records by the filter's field: they are searched once for forty lookups, not forty times."""

    def __init__(self, field: str, parts: Iterable[Part]) -> None:
        self._by_value: dict[str, dict[str, TransactionRecord]] = {}
        self._failures: dict[str, RetryLater[DeadReason] | Failed[DeadReason]] = {}
        self._known: dict[str, TransactionRecord] = {}
        # a chargeback is read from one response, so its parent must be in the same one
        self._unresolved: dict[str, str] = {}
        for part in parts:
            if isinstance(part, PartFailure):
                self._failures.update(dict.fromkeys(part.values, part.outcome))
            else:
                self._add(field, part)

    def _add(self, field: str, part: PartResponse) -> None:
        known = by_reference(part.records)
        self._known |= known
        self._unresolved |= unresolved_chargebacks(part.records, known)
        for one in part.records:
            self._by_value.setdefault(getattr(one, field), {})[one.transactionreference] = one

    def outcome(self, lookup: Lookup, values: Sequence[str]) -> LookupOutcome:
        """The outcome of a lookup that asks for these values of the field."""
        if not values:
            return Failed("unreadable_lookup", "the lookup names neither a transaction nor an order")
        recovery = RECOVERY in lookup.arguments
        failed = {one: self._failures[one] for one in values if one in self._failures} if self._failures else {}
        if failed and (not recovery or len(failed) == len(values)):
            return next((one for one in failed.values() if isinstance(one, RetryLater)), next(iter(failed.values())))
        if not recovery and any(one not in self._by_value for one in values):
            return RetryLater("not_found", "the provider has no record of it yet")
        mine = {name: one for value in values for name, one in self._by_value.get(value, {}).items()}
        if recovery and REFERENCES in lookup.arguments:
            return self._settlement(mine, tuple(failed))
        return self._notified(mine)

    def _settlement(self, mine: Mapping[str, TransactionRecord], failed: Sequence[str]) -> LookupOutcome:
        """Of payments that are known: what failed or is uncertain is looked up by itself, so that the others are not
        looked up again because of it."""
        open_ended = [name for name, one in mine.items() if _is_uncertain(one)]
        return Succeeded(follow_ups=tuple(sorted({*failed, *open_ended})), further=self._chargebacks(mine))

    def _notified(self, mine: Mapping[str, TransactionRecord]) -> LookupOutcome:
        payments = {_payment_to_find(one) for one in mine.values()}
        return Succeeded(
            again="uncertain" if any(_is_uncertain(one) for one in mine.values()) else None,
            follow_ups=tuple(sorted(one for one in payments if one and one not in self._known)),
            further=(*self._chargebacks(mine), *self._parcels(mine)),
        )

    def _chargebacks(self, mine: Mapping[str, TransactionRecord]) -> tuple[FurtherLookup, ...]:
        """Chargebacks whose parent may be a payment or a refund: both are looked up together."""
        pairs = sorted((name, parent) for name, parent in self._unresolved.items() if name in mine)
        return tuple(_together(name, parent, must_exist=True) for name, parent in pairs)

    def _parcels(self, mine: Mapping[str, TransactionRecord]) -> tuple[FurtherLookup, ...]:
        """Payments of which only their parent shows whether they are parcels of a split shipment."""
        parents = {name: one.parent for name, one in mine.items() if may_be_parcel(one)}
        unknown = sorted((name, parent) for name, parent in parents.items() if parent not in self._known)
        return tuple(_together(name, parent, must_exist=False) for name, parent in unknown)


def _together(name: str, parent: str, *, must_exist: bool) -> FurtherLookup:
    return FurtherLookup(TRANSACTION, None, {REFERENCES: f"{name} {parent}"}, must_exist=must_exist)


def _is_uncertain(record: TransactionRecord) -> bool:
    """Whether the outcome must be known and is not: until it is, the request is looked up again."""
    return record.requesttypedescription in PAYMENT_KINDS and uncertain(record.errorcode)


def _payment_to_find(record: TransactionRecord) -> str:
    """The payment of a record that says nothing of it, such as a refund's. A payout changes none, and a chargeback's
    parent is looked up together with it."""
    kind = record.requesttypedescription
    if kind in _PAYMENTLESS or is_payout(record) or (kind == "CHARGEBACK" and record.errorcode == "0"):
        return ""
    return record.parent
