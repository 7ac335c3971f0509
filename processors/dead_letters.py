"""Dead letters and rejected notifications: the whole record, with the reason and the position it came from.

Value, key and headers are unchanged, so a replay publishes the original again; the added headers are listed in
docs/reference/topics.md. The reason is one of a closed list: it never quotes anything that came from outside.
"""

from __future__ import annotations

from paynotify.schemas.cloudevents import with_headers
from paynotify.schemas.reasons import DeadReason, RejectReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339


def dead_lettered(
    record: Record,
    topic: str,
    reason: RejectReason | DeadReason,
    *,
    attempts: int = 1,
    first_seen: str = "",
    elements: str = "",
) -> Output:
    """The record as it is published to ``notifications.rejected`` or ``lookups.dead``.

    ``elements`` are the places of the elements that could not be read, where the others were.
    """
    added = {
        "reason": reason,
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "attempts": str(attempts),
        "first-seen": first_seen or record.header("ce_time") or rfc3339(),
        **({"elements": elements} if elements else {}),
    }
    return Output(topic, record.key, record.value, with_headers(record.headers, added))
