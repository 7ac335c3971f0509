"""Which lookups a record holds or answers, and whether they concern a payment."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

import msgspec

from schemas.errors import UnreadableError
from schemas.messages import REFERENCES, Answered, Lookup, decode
from schemas.records import Record

_ANSWERED: Final = msgspec.json.Decoder(list[Answered])


def answered_lookups(response: Record) -> list[Answered]:
    """The lookups that a response belongs to; empty if the header cannot be read."""
    try:
        return _ANSWERED.decode(response.header("lookups", "[]"))
    except msgspec.MsgspecError:
        return []


def lookup_of(record: Record) -> Lookup | None:
    """The record's lookup; None if the record holds something else, such as a dead-lettered response."""
    try:
        return decode(record.value, Lookup)
    except UnreadableError:
        return None


def is_for(record: Record, merchant: str, references: Set[str], order_id: str | None) -> bool:
    """Whether the record's lookup asks for the merchant's order, or for one of the references among others."""
    lookup = lookup_of(record)
    if lookup is None or lookup.merchant != merchant:
        return False
    if not references.isdisjoint(lookup.arguments.get(REFERENCES, "").split()):
        return True
    return lookup.arguments.get("orderreference", "") == order_id
