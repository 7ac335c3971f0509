"""Events on their way to a subscriber."""

from __future__ import annotations

import msgspec

from paynotify.deliver.delivery_queue import QueuedDelivery
from paynotify.deliver.result_event import ResultEvent, read_event
from paynotify.schemas.ids import derived_id
from paynotify.schemas.records import Headers, Record

TOPIC = "payments.status"


def status_record(payment: str, sequence: int, offset: int, merchant: str = "shop-nl", extra: Headers = ()) -> Record:
    """A status event of the payment."""
    event = {
        "event_id": derived_id("fake delivery", merchant, payment, str(sequence)),
        "sequence": sequence,
        "merchant": merchant,
        "payment_id": payment,
    }
    headers = (("ce_type", b"payment.status.changed.v1"), ("ce_time", b"2026-11-29T10:00:00.000Z"), *extra)
    return Record(TOPIC, 0, offset, f"{merchant}/{payment}".encode(), msgspec.json.encode(event), headers, 0.0)


def status_event(payment: str, sequence: int, offset: int) -> ResultEvent:
    event = read_event(status_record(payment, sequence, offset))
    assert event is not None
    return event


def queued(payment: str, sequence: int, offset: int) -> QueuedDelivery:
    return QueuedDelivery(status_event(payment, sequence, offset))
