"""The messages with which `paynotify deliver` keeps what subscribers have been called with."""

from __future__ import annotations

from typing import Final

from paynotify.schemas.generate.record_headers import CLOUD_EVENT, JSON_VALUE
from paynotify.schemas.generate.topic_messages import TopicMessage
from paynotify.schemas.messages.event_types import DELIVERED_TYPES

_PLACE: Final = ("original-topic", "original-partition", "original-offset")
_TRIED: Final = ("attempts", "first-seen")
_AS_THE_EVENT: Final = "as the event's"

#: Of the event's own message; a delivery keeps what the event had.
_OF_EVENT: Final = (*CLOUD_EVENT, *JSON_VALUE, "traceparent")

DELIVERY_MESSAGES: Final = (
    TopicMessage(
        name="DeliveryWaiting",
        title="Delivery waiting",
        summary="A delivery that waits to be tried again: the event as it was read.",
        description="A tombstone says that it is made. `delivery-key` is the event's own key.",
        key="",
        key_meaning="`{subscription}/{event_id}`",
        event_types=DELIVERED_TYPES,
        required_headers=("subscription", "delivery-key", "attempts", *_PLACE),
        optional_headers=(*_OF_EVENT, "not-before", "first-seen", "reason", "replayed-from"),
    ),
    TopicMessage(
        name="SubscriptionKept",
        title="State of a subscription",
        summary="Whether a subscription is enabled, or how far it has come.",
        description="JSON with `state`, `at` and `by`, or with `offsets` and `at`.",
        key="",
        key_meaning="`{subscription}`, or `{subscription}/@positions` of how far it has come",
        required_headers=(),
        optional_headers=(),
    ),
    TopicMessage(
        name="DeliveryDead",
        title="Delivery dead-lettered",
        summary="A delivery that failed for the last time, with the reason: the event as it was read.",
        description="`paynotify replay deliveries` has it made again.",
        key="",
        key_meaning=_AS_THE_EVENT,
        event_types=DELIVERED_TYPES,
        required_headers=("subscription", "reason", *_PLACE, *_TRIED),
        optional_headers=(*_OF_EVENT, "replayed-from"),
    ),
    TopicMessage(
        name="DeliveryReplayed",
        title="Delivery to make again",
        summary="A dead-lettered delivery that is to be made again, to its subscription alone.",
        description="`replayed-from` is its position on `deliveries.dead`.",
        key="",
        key_meaning=_AS_THE_EVENT,
        event_types=DELIVERED_TYPES,
        required_headers=("subscription", "replayed-from"),
        optional_headers=_OF_EVENT,
    ),
)
