"""What is told of a payment's copies, and what deleting them takes with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition
from paynotify.ops.forget.copies import PartitionErasure, erasures, raw_copies
from paynotify.schemas.records import Record

CALLS: Final = "notifications.nevogate"
RAW: Final = frozenset((CALLS, "responses.nevogate", "notifications.rejected"))
KEPT: Final = {CALLS: 86_400, "responses.nevogate": None, "lookups.dead": 60}


def record(topic: str, offset: int, partition: int = 0, **headers: str) -> Record:
    raw = tuple((name.replace("_", "-"), text.encode()) for name, text in headers.items())
    return Record(topic, partition, offset, b"shop/1", b"", raw, 1_780_000_000.0)


def test_copies_are_raw_values_wherever_they_lie_each_once() -> None:
    found = raw_copies(
        [
            record("responses.nevogate", 9),
            record(CALLS, 4),
            record(CALLS, 4),
            record("lookups.dead", 1, original_topic="responses.nevogate"),
            record("lookups.dead", 2, original_topic="lookups.nevogate"),
            record("payments.status", 3),
        ],
        RAW,
        KEPT,
    )
    assert [(one.partition.topic, one.offset) for one in found] == [
        ("lookups.dead", 1),
        (CALLS, 4),
        ("responses.nevogate", 9),
    ]
    assert [one.kept_until for one in found[1:]] == [datetime.fromtimestamp(1_780_086_400, UTC), None]


def test_erasure_counts_the_records_that_go_too_and_waits_for_the_stages() -> None:
    calls, other = TopicPartition(CALLS, 0), TopicPartition("notifications.rejected", 1)
    copies = raw_copies([record(CALLS, 4), record(CALLS, 7), record(other.topic, 5, 1)], RAW, KEPT)
    held = [OffsetRange(calls, 2, 100, 2), OffsetRange(other, 0, 6, 0), OffsetRange(TopicPartition(CALLS, 1), 0, 9, 0)]
    assert erasures(copies, held, {calls: 8}) == [
        PartitionErasure(calls, end=8, copies=2, others=4, unprocessed=0),
        PartitionErasure(other, end=6, copies=1, others=5, unprocessed=0),
    ]
    (first, _) = erasures(copies, held, {calls: 5})
    assert first.unprocessed == 3
