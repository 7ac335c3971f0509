"""Reads the lookup in a record, with what its headers say of it."""

from __future__ import annotations

from datetime import UTC, datetime

from paynotify.processors.providers.base import WaitingLookup
from paynotify.schemas import messages
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import Lookup
from paynotify.schemas.providers import provider_operations
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time


def waiting_lookup(record: Record) -> WaitingLookup:
    """The lookup in a record.

    Raises:
        UnreadableError: the record has no id, or its value is not a lookup that some provider can make.
    """
    headers = record.texts()
    lookup_id = headers.get("ce_id")
    if not lookup_id:
        raise UnreadableError(
            "the lookup has no ce_id", "unreadable_lookup"
        )  # several lookups without an id would count as one
    lookup = messages.decode(record.value, Lookup)
    if lookup.operation not in provider_operations():
        raise UnreadableError("no provider has the lookup's operation", "unreadable_lookup")
    first_seen = parse_time(headers.get("first-seen") or headers.get("ce_time", ""))
    return WaitingLookup(
        lookup_id=lookup_id,
        lookup=lookup,
        traceparent=headers.get("traceparent", ""),
        attempts=record.number("attempts"),
        first_seen=first_seen or datetime.fromtimestamp(record.timestamp_seconds, UTC),
        known=headers.get("known") == "1",
    )
