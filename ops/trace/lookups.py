"""Which lookup a record holds, and whether it concerns a payment."""

from __future__ import annotations

from collections.abc import Set

from paynotify.schemas.messages import REFERENCES, Lookup, decode_or_none
from paynotify.schemas.records import Record


def lookup_of(record: Record) -> Lookup | None:
    """The record's lookup; None if the record holds something else, such as a dead-lettered response."""
    return decode_or_none(record.value, Lookup)


def is_for(record: Record, merchant: str, references: Set[str], order_id: str | None) -> bool:
    """Whether the record's lookup asks for the merchant's order, or for one of the references among others."""
    lookup = lookup_of(record)
    if lookup is None or lookup.merchant != merchant:
        return False
    if not references.isdisjoint(lookup.arguments.get(REFERENCES, "").split()):
        return True
    return lookup.arguments.get("orderreference", "") == order_id
