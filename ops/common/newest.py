"""Finds the newest record of a key, and the newest event of a payment, without reading the whole topic."""

from __future__ import annotations

from typing import Final

from paynotify.ops.common.topic_reader import TopicPartition, TopicReader
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.records import Record
from paynotify.service.partitioner import partition_of

_CHUNK_RECORDS: Final = 50_000


def newest_record(reader: TopicReader, topic: str, key: bytes) -> Record | None:
    """The newest record with this key, searched from the end of its partition. A tombstone has no value.

    Raises:
        ClusterUnavailableError: the topic cannot be read.
    """
    count = reader.partition_count(topic)
    if not count:
        return None
    for whole in reader.ranges([TopicPartition(topic, partition_of(key, count))]):
        for chunk in reader.backwards(whole, _CHUNK_RECORDS):
            found = reader.matching([chunk], {key}, lambda one, _: one == key)
            if found:
                return found[-1]
    return None


def newest_event(reader: TopicReader, kafka: KafkaSettings, key: bytes) -> PaymentStatus | None:
    """The event of the payment with this key on ``payments.latest``; None where there is none (any more).

    Raises:
        ConfigurationError: a later release has written it in a form that this one cannot read.
        ClusterUnavailableError: the topic cannot be read.
    """
    record = newest_record(reader, kafka.topic(topics.LATEST), key)
    if record is None or record.value is None:
        return None
    try:
        return decode(record.value, PaymentStatus)
    except UnreadableError:
        raise ConfigurationError(
            "The payment's newest event cannot be read. It may have been written by a later release: use the release "
            "that the workers run."
        ) from None
