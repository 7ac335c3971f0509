"""Selects the records to replay: the newest of each id that the options match and that was not replayed before."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.ops.replay.original import money_moving_topics, position_text, replay_targets
from paynotify.schemas.cloudevents import REPLAYED_FROM
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.records import Record, to_record

_MONEY_MOVING: Final = "requests that move money; the shop must request them again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySelection:
    """Which records to replay; an empty field matches every record."""

    reasons: Collection[str] = ()
    merchants: Collection[str] = ()
    providers: Collection[str] = ()
    keys: Collection[bytes] = ()
    subscriptions: Collection[str] = ()

    def matches(self, record: Record, provider: str) -> bool:
        """Whether the record, whose original topic is the provider's, is selected."""
        merchant = (record.key or b"").partition(b"/")[0].decode("utf-8", "replace")
        return (
            (not self.reasons or record.header("reason") in self.reasons)
            and (not self.merchants or merchant in self.merchants)
            and (not self.providers or provider in self.providers)
            and (not self.keys or record.key in self.keys)
            and (not self.subscriptions or record.header("subscription") in self.subscriptions)
        )


@dataclass(slots=True)
class ReplayPlan:
    """The records to replay, by a digest of target and id, and how many were left out, by reason.

    ``unknown_targets`` counts records whose original topic is not one of paynotify's. ``oldest_seconds`` is the time of
    the oldest selected record, by target topic.
    """

    selected: dict[bytes, tuple[TopicPartition, int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    unknown_targets: Counter[str] = field(default_factory=Counter)
    oldest_seconds: dict[str, float] = field(default_factory=dict)

    def records(self, reader: TopicReader) -> Iterator[Record]:
        """The selected records, read a second time: planning keeps only their positions."""
        positions = {(*partition, offset) for partition, offset in self.selected.values()}
        offsets: dict[TopicPartition, list[int]] = {}
        for partition, offset in self.selected.values():
            offsets.setdefault(partition, []).append(offset)
        ranges = [OffsetRange(partition, min(some), max(some) + 1) for partition, some in offsets.items()]
        for partition, records in reader.read(ranges):
            for raw in records:
                if (*partition, raw.offset) in positions:
                    yield reader.decrypted(to_record(raw))


def find(
    reader: TopicReader,
    kafka: KafkaSettings,
    sources: Sequence[str],
    selection: ReplaySelection,
    since: datetime | None,
    until: datetime | None,
    *,
    max_records: int | None = None,
) -> ReplayPlan:
    """Plan the replay of the selected records on the ``sources`` topics that were written in the time window.

    Raises:
        ConfigurationError: more than ``max_records`` are selected.
    """
    targets, money_moving, plan = replay_targets(kafka), money_moving_topics(kafka), ReplayPlan()
    partitions = reader.partitions(*(kafka.topic(name) for name in sources))
    ranges = reader.ranges(partitions, since.timestamp() if since else None, until.timestamp() if until else None)
    with ProgressBar("finding records", sum(one.length for one in ranges)) as bar:
        for partition, records in reader.read(ranges):
            bar.advance(len(records))
            for raw in records:
                record = to_record(raw)
                target = record.header("original-topic")
                if not selection.matches(record, targets.get(target, "")):
                    continue
                if target in money_moving:
                    plan.left_out[_MONEY_MOVING] += 1
                else:
                    _add(plan, targets, partition, record)
            if max_records is not None and len(plan.selected) > max_records:
                raise ConfigurationError(
                    f"More than {max_records} records are selected. Select fewer: by reason, merchant or time."
                )
    return plan


def leave_out_replayed(reader: TopicReader, plan: ReplayPlan) -> None:
    """Remove the records that were replayed before: their positions are in headers on the target topics."""
    ranges: list[OffsetRange] = []
    for target, oldest_seconds in plan.oldest_seconds.items():
        ranges += reader.ranges(reader.partitions(target), oldest_seconds)
    replayed: set[str] = set()
    with ProgressBar("finding earlier replays", sum(one.length for one in ranges)) as bar:
        for _, records in reader.read(ranges):
            bar.advance(len(records))
            replayed.update(value.decode() for raw in records for name, value in raw.headers if name == REPLAYED_FROM)
    for digest, (partition, offset) in list(plan.selected.items()):
        if position_text(*partition, offset) in replayed:
            del plan.selected[digest]
            plan.left_out["replayed before"] += 1


def _add(plan: ReplayPlan, targets: Mapping[str, str], partition: TopicPartition, record: Record) -> None:
    target = record.header("original-topic")
    if target not in targets:
        plan.unknown_targets[target or "(none)"] += 1
        return
    digest = hashlib.blake2b(f"{target}\x1f{_identity(record)}".encode(), digest_size=16).digest()
    if digest in plan.selected:
        plan.left_out["an older record of the same id"] += 1
    plan.selected[digest] = (partition, record.offset)
    oldest = plan.oldest_seconds.get(target, record.timestamp_seconds)
    plan.oldest_seconds[target] = min(oldest, record.timestamp_seconds)


def _identity(record: Record) -> str:
    """The record's id, or its original position if it has none."""
    return record.header("ce_id") or f"{record.header('original-partition')}/{record.header('original-offset')}"
