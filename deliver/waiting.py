"""Waiting and dead-lettered deliveries as records.

A waiting delivery is its event's record with headers that say what became of it so far. A dead-lettered one names the
topic `deliveries.replayed` as the one it came from, so that `paynotify replay` makes the delivery again without
publishing a result twice.
"""

from __future__ import annotations

from typing import Final

from paynotify.deliver.delivery_queue import QueuedDelivery
from paynotify.deliver.result_event import SUBSCRIPTION, read_event
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import with_headers
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.reasons import DeliveryReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time, rfc3339, rfc3339_of

_KEY: Final = "delivery-key"
_NOT_BEFORE: Final = "not-before"


def state_key(subscription: str, event_id: str = "") -> bytes:
    """The key of a subscription's state, or of one of its deliveries, on the state topic."""
    return f"{subscription}/{event_id}".encode() if event_id else subscription.encode()


def waiting_record(delivery: QueuedDelivery, subscription: str, kafka: KafkaSettings) -> Output:
    """The delivery on the state topic."""
    record = delivery.event.record
    headers = {
        SUBSCRIPTION: subscription,
        _KEY: (record.key or b"").decode("utf-8", "replace"),
        "attempts": str(delivery.attempts),
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
    }
    if delivery.attempts:  # none of those that only wait behind another; an empty header breaks readers of CloudEvents
        headers[_NOT_BEFORE] = rfc3339_of(delivery.due_seconds)
        headers["first-seen"] = delivery.first_failed_at
    key = state_key(subscription, delivery.event.event_id)
    return Output(kafka.topic(topics.DELIVERIES_STATE), key, record.value, with_headers(record.headers, headers))


def tombstone(delivery: QueuedDelivery, subscription: str, kafka: KafkaSettings) -> Output:
    """What removes the delivery from the state topic."""
    return Output(kafka.topic(topics.DELIVERIES_STATE), state_key(subscription, delivery.event.event_id), None, ())


def restored(record: Record) -> QueuedDelivery | None:
    """The delivery in a record of the state topic; None if it holds none that can be read."""
    source = Record(
        record.header("original-topic"),
        record.number("original-partition"),
        int(record.header("original-offset") or "0"),
        record.header(_KEY).encode(),
        record.value,
        record.headers,
        record.timestamp_seconds,
    )
    try:
        event = read_event(source)
    except UnreadableError:
        return None
    if event is None:
        return None
    due = parse_time(record.header(_NOT_BEFORE))
    return QueuedDelivery(
        event,
        attempts=record.number("attempts"),
        first_failed_at=record.header("first-seen"),
        due_seconds=due.timestamp() if due is not None else 0.0,
        recorded=True,
        saved=True,
    )


def dead_letter(delivery: QueuedDelivery, reason: DeliveryReason, subscription: str, kafka: KafkaSettings) -> Output:
    """The delivery on `deliveries.dead`."""
    record = delivery.event.record
    headers = {
        # an event may be dead for one subscription and delivered to another
        "ce_id": derived_id("delivery", subscription, delivery.event.event_id),
        SUBSCRIPTION: subscription,
        "reason": reason,
        "original-topic": kafka.topic(topics.DELIVERIES_REPLAYED),
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "attempts": str(delivery.attempts),
        "first-seen": delivery.first_failed_at or rfc3339(),
    }
    kept = [(name, value) for name, value in record.headers if name not in (_KEY, _NOT_BEFORE)]
    return Output(kafka.topic(topics.DELIVERIES_DEAD), record.key, record.value, with_headers(kept, headers))
