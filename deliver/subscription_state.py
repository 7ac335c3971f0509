"""What is said of a subscription on the state topic: whether it is enabled, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec

from paynotify.deliver.delivery_queue import Place
from paynotify.deliver.waiting import state_key
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages.encoding import decode, encode
from paynotify.schemas.records import Output, Record, to_record
from paynotify.schemas.times import rfc3339

#: Ends the key of a subscription's positions; an event's id has no such character.
_POSITIONS: Final = "@positions"


class SubscriptionState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Whether a subscription is enabled, since when, and by whom: its subscriber (HTTP 410) or an operator."""

    state: Literal["enabled", "disabled"]
    at: str
    by: str


class SubscriptionPositions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The next offset to read, by topic (name on the cluster) and partition.

    The brokers forget a group's offsets a week after its last member has left. These stay.
    """

    offsets: dict[str, dict[int, int]]
    at: str


T = TypeVar("T", SubscriptionState, SubscriptionPositions)


def said(record: Record | None, kind: type[T]) -> T | None:
    """What a record of the state topic says; None without one, or if it is of a later release."""
    if record is None:
        return None
    try:
        return decode(record.value, kind)
    except UnreadableError:
        return None


def apply(read: Iterable[Any], newest: dict[bytes, Record]) -> None:
    """Add the state topic's next records, as a client returns them, to the newest one of each key."""
    for one in read:
        if one.value is None:
            newest.pop(one.key, None)
        elif one.key is not None:
            newest[one.key] = to_record(one)


def state_record(subscription: str, state: Literal["enabled", "disabled"], by: str, kafka: KafkaSettings) -> Output:
    """The record that enables or disables the subscription."""
    value = SubscriptionState(state=state, at=rfc3339(), by=by)
    return Output(kafka.topic(topics.DELIVERIES_STATE), state_key(subscription), encode(value), ())


def positions_record(subscription: str, positions: Mapping[Place, int], kafka: KafkaSettings) -> Output:
    """The record of how far the subscription has come: the next offset to read of each partition."""
    offsets: dict[str, dict[int, int]] = {}
    for (topic, partition), offset in positions.items():
        offsets.setdefault(topic, {})[partition] = offset
    value = SubscriptionPositions(offsets=offsets, at=rfc3339())
    return Output(kafka.topic(topics.DELIVERIES_STATE), positions_key(subscription), encode(value), ())


def positions_key(subscription: str) -> bytes:
    """The key of a subscription's positions on the state topic."""
    return state_key(subscription, _POSITIONS)
