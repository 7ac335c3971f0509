"""Finds the newest record of a key without reading the whole topic."""

from __future__ import annotations

from typing import Final

from paynotify.ops.common.topic_reader import TopicPartition, TopicReader
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
