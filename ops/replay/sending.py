"""Takes the planned records one after the other: counts and lists them for a dry run, or sends them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from paynotify.ops.common.record_sender import RecordSender, rate_limiter
from paynotify.ops.replay.original import original, position_text
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.records import Record
from paynotify.service.card_guard import CardGuard
from paynotify.service.value_cipher import cipher_of

_MAX_LISTED: Final = 20

#: How many records there are, by provider, reason and target topic.
ReplayCounts = Counter[tuple[str, str, str]]


def counted(records: Iterator[Record], counts: ReplayCounts, targets: Mapping[str, str]) -> Iterator[Record]:
    """The records, each counted by provider, reason and target when it is taken."""
    for record in records:
        target = record.header("original-topic")
        counts[targets[target], record.header("reason"), target] += 1
        yield record


def first_records(records: Iterator[Record]) -> list[dict[str, Any]]:
    """The first records as objects; all are read, so that they are counted."""
    listed: list[dict[str, Any]] = []
    for record in records:
        if len(listed) < _MAX_LISTED:
            listed.append(
                {
                    "id": record.header("ce_id"),
                    "key": (record.key or b"").decode("utf-8", "replace"),
                    "reason": record.header("reason"),
                    "from": position_text(record.topic, record.partition, record.offset),
                    "to": record.header("original-topic"),
                    "first_seen": record.header("first-seen"),
                }
            )
    return listed


def send(records: Iterator[Record], configuration: Configuration, per_second: float, sent: Callable[[], None]) -> None:
    """Send the records as they were; calls ``sent`` for each.

    Raises:
        ClusterUnavailableError: the brokers did not acknowledge a record. Those before it are left out next time.
    """
    wait = rate_limiter(per_second)
    cipher, cards = cipher_of(configuration), CardGuard(configuration.kafka, configuration.id_fields())
    with RecordSender(configuration.kafka) as sender:
        for record in records:
            wait()
            sender.send(cipher.output(cards.output(original(record))))
            sent()
