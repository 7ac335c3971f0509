"""Where what callers and providers sent about a payment lies, until when, and what deleting it takes away with it.

Kafka deletes no single record: a partition loses all its records up to an offset. Pure functions of what was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition
from paynotify.schemas.records import Record


@dataclass(frozen=True, slots=True)
class RawCopy:
    """One record with what was sent. ``kept_until`` is when its retention ends; None keeps it for ever.

    Kafka deletes it some time after that, once the segment of the log that it lies in is closed.
    """

    partition: TopicPartition
    offset: int
    at: datetime
    kept_until: datetime | None


@dataclass(frozen=True, slots=True)
class PartitionErasure:
    """What deleting the copies of one partition does: everything before ``end`` goes, ``others`` of it with them.

    ``unprocessed`` is how many of these records a stage has not processed yet; they must not go.
    """

    partition: TopicPartition
    end: int
    copies: int
    others: int
    unprocessed: int


def raw_copies(records: Iterable[Record], raw: Set[str], retention_seconds: Mapping[str, int | None]) -> list[RawCopy]:
    """The records on the ``raw`` topics, and those that were dead-lettered from one of them, in order."""
    found = []
    for one in records:
        if one.topic in raw or one.header("original-topic") in raw:
            at = datetime.fromtimestamp(one.timestamp_seconds, UTC)
            seconds = retention_seconds.get(one.topic)
            until = None if seconds is None else at + timedelta(seconds=seconds)
            found.append(RawCopy(TopicPartition(one.topic, one.partition), one.offset, at, until))
    return sorted(set(found), key=lambda one: (one.partition, one.offset))


def erasures(
    copies: Iterable[RawCopy], held: Iterable[OffsetRange], committed: Mapping[TopicPartition, int]
) -> list[PartitionErasure]:
    """What deleting the copies takes in each partition. ``held`` is what the partitions hold now.

    A partition that is not in ``committed`` is read by no stage.
    """
    offsets: dict[TopicPartition, list[int]] = {}
    for copy in copies:
        offsets.setdefault(copy.partition, []).append(copy.offset)
    found = []
    for one in held:
        mine = offsets.get(one.partition)
        if mine:
            end = max(mine) + 1
            others = end - one.log_start - len(mine)
            unprocessed = max(0, end - committed.get(one.partition, end))
            found.append(PartitionErasure(one.partition, end, len(mine), max(0, others), unprocessed))
    return sorted(found, key=lambda one: one.partition)
