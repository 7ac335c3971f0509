"""Records that end without a result: kept whole, with the reason and the place they came from.

Value, key and headers stay as they were, so a replay is the original again; the added headers are the frozen ones
of the design. Reasons are closed words: a dead letter's reason never quotes what came from outside.
"""

from __future__ import annotations

from schemas.cloudevents import with_headers
from schemas.reasons import DeadReason, RejectReason
from schemas.records import Output, Record
from schemas.times import rfc3339


def ended(
    record: Record, topic: str, reason: RejectReason | DeadReason, *, attempts: int = 1, first_seen: str = ""
) -> Output:
    """The record as it goes to ``notifications.rejected`` or ``lookups.dead``."""
    added = {
        "reason": reason,
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "attempts": str(attempts),
        "first-seen": first_seen or record.header("ce_time") or rfc3339(),
    }
    return Output(topic, record.key, record.value, with_headers(record.headers, added))
