"""Groups Trust Payments' lookups into queries, and finds each lookup's records in a query's response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from processors.providers.outcomes import LookupOutcome, RetryLater, Succeeded
from processors.providers.trustpayments.codes import uncertain
from processors.providers.trustpayments.records import is_reference, word
from schemas.messages import RECOVERY, Lookup

#: Requests whose outcome must be known: until it is, they are looked up again.
_MOVING: Final = frozenset({"AUTH", "REFUND", "CHARGEBACK"})


@dataclass(frozen=True, slots=True)
class QueryFilter:
    """The filter a lookup needs; without a field it can't be looked up."""

    field: str
    value: str


def filter_of(lookup: Lookup) -> QueryFilter:
    """By the transaction; by the order where the lookup names no transaction."""
    if lookup.reference is not None and is_reference(lookup.reference):
        return QueryFilter("transactionreference", lookup.reference)
    order = lookup.arguments.get("orderreference", "")
    return QueryFilter("orderreference" if order and lookup.reference is None else "", order)


class FoundRecords:
    """A response's records by the filter's field: the response to forty lookups is searched once, not forty times."""

    def __init__(self, field: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._by_value: dict[str, list[Mapping[str, Any]]] = {}
        for one in records:
            self._by_value.setdefault(word(one, field), []).append(one)
        self._known = {word(one, "transactionreference") for one in records}

    def outcome(self, lookup: Lookup) -> LookupOutcome:
        """The outcome of a lookup with this field."""
        mine = self._by_value.get(filter_of(lookup).value)
        if not mine:
            if RECOVERY in lookup.arguments:
                return Succeeded()  # no notification named it: an abandoned basket is no dead letter
            return RetryLater("not_found", "the provider has no record of it yet")
        kinds = [(one, word(one, "requesttypedescription")) for one in mine]
        # a refund says nothing of its payment, so the payment itself is looked up where it is not among the records
        parents = {word(one, "parenttransactionreference") for one, kind in kinds if kind != "AUTH"}
        open_ended = any(uncertain(word(one, "errorcode")) for one, kind in kinds if kind in _MOVING)
        return Succeeded(
            again="uncertain" if open_ended else None,
            follow_ups=tuple(sorted(parent for parent in parents - self._known if is_reference(parent))),
        )
