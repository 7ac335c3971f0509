"""Restores a rejected or dead-lettered record to its original form, and marks it as replayed."""

from __future__ import annotations

from typing import Final

from paynotify.schemas import topics
from paynotify.schemas.cloudevents import HELD_SINCE, REPLAYED_FROM
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.providers import provider_names
from paynotify.schemas.records import Output, Record

#: Headers that rejecting, dead-lettering and retrying add to a record; the original had none of them.
_ADDED_HEADERS: Final = frozenset(
    (
        "reason",
        "original-topic",
        "original-partition",
        "original-offset",
        "attempts",
        "first-seen",
        "not-before",
        "elements",
        HELD_SINCE,
        REPLAYED_FROM,
    )
)


def original(record: Record) -> Output:
    """The record as it was before it was rejected or dead-lettered, with `REPLAYED_FROM` added."""
    kept = tuple((name, value) for name, value in record.headers if name not in _ADDED_HEADERS)
    position = position_text(record.topic, record.partition, record.offset).encode()
    return Output(record.header("original-topic"), record.key, record.value, (*kept, (REPLAYED_FROM, position)))


def position_text(topic: str, partition: int, offset: int) -> str:
    """A record's position, as the header `REPLAYED_FROM` holds it."""
    return f"{topic}/{partition}/{offset}"


def replay_targets(kafka: KafkaSettings) -> dict[str, str]:
    """The topics that records may be replayed to (names on the cluster), each with its provider or "all"."""
    return {
        kafka.topic(name): provider
        for provider in provider_names()
        for name in (
            topics.notifications(provider),
            *topics.unverified_steps(provider),
            topics.lookups(provider),
            topics.known(provider),
            topics.responses(provider),
            *topics.retry_steps(provider),
        )
    } | {
        kafka.topic(name): "all"
        for name in (topics.OBSERVATIONS, topics.EXPECTED, topics.ORDERS, topics.DELIVERIES_REPLAYED)
    }


def money_moving_topics(kafka: KafkaSettings) -> frozenset[str]:
    """The topics whose records move money; these are never replayed.

    Long after a request was dead-lettered, the shop may have charged in another way.
    """
    return frozenset((kafka.topic(topics.REQUESTED), kafka.topic(topics.CHARGES)))
