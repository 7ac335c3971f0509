"""Checks the result topics: gapless sequences, one content per event id, and on ``payments.latest`` the newest event,
unless the payment was forgotten.

Memory: about 430 bytes for a payment with one event in the window, and 150 bytes for each further event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from paynotify.ops.audit.ledger import AuditDifference, identity, identity_text
from paynotify.ops.common.topic_reader import TopicPartition


class _ResultEvent(msgspec.Struct):
    event_id: str
    sequence: int


#: In place of the digest of a payment that was forgotten; as short as no digest is.
_FORGOTTEN: Final = b""

_EVENT: Final = msgspec.json.Decoder(_ResultEvent)


@dataclass(slots=True)
class ResultSums:
    """Counts of the result topic's records."""

    events: int = 0
    payments: int = 0
    repeats: int = 0


class ResultChecks:
    """Checks the records of ``payments.status`` in order, then those of ``payments.latest``.

    ``complete`` holds the partitions that are read from their first record on: only there must a payment's events start
    with sequence 1.
    """

    def __init__(self, complete: frozenset[TopicPartition]) -> None:
        self._complete = complete
        self._contents: dict[bytes, bytes] = {}
        self._sequences: dict[bytes, int] = {}
        self._newest: dict[bytes, bytes] = {}
        self._latest: dict[bytes, bytes] = {}
        self.sums = ResultSums()

    def status(self, partition: TopicPartition, records: list[Any]) -> Iterator[AuditDifference]:
        """Check records of ``payments.status``."""
        for record in records:
            what = self._check(partition, record)
            if what:
                yield AuditDifference(
                    scope="results",
                    what=what,
                    name=f"payment {_text(record.key)}",
                    where=f"{partition.topic}/{partition.partition}/{record.offset}",
                )

    def latest(self, records: list[Any]) -> None:
        """Add records of ``payments.latest``. A tombstone takes the payment off it."""
        for record in records:
            self._latest[record.key or b""] = _FORGOTTEN if record.value is None else _digest(record.value)

    def unequal(self) -> list[bytes]:
        """The keys of payments whose record on ``payments.latest`` is not their last event."""
        latest = self._latest
        return [key for key, digest in self._newest.items() if latest.get(key) not in (digest, _FORGOTTEN)]

    def differences(self) -> Iterator[AuditDifference]:
        """The differences between the topics, once both were read."""
        for key in self.unequal():
            what = (
                "has another event on payments.latest than its last one"
                if key in self._latest
                else "is not on payments.latest"
            )
            yield AuditDifference(scope="results", what=what, name=f"payment {_text(key)}")

    def _check(self, partition: TopicPartition, record: Any) -> str:
        key, value = record.key or b"", record.value or b""
        try:
            event = _EVENT.decode(value)
        except msgspec.MsgspecError:
            return "has an unreadable event"
        name, digest = identity(event.event_id.encode()), _digest(value)
        known = self._contents.get(name)
        if known is not None:
            self.sums.repeats += 1
            return "" if known == digest else f"has two contents under one event id {identity_text(name)}"
        self._contents[name] = digest
        self.sums.events += 1
        self._newest[key] = digest
        before = self._sequences.get(key)
        self._sequences[key] = event.sequence
        if before is None:
            self.sums.payments += 1
            if event.sequence == 1 or partition not in self._complete:
                return ""
            before = 0
        return "" if event.sequence == before + 1 else f"has sequence {event.sequence} after {before}"


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def _text(key: bytes | None) -> str:
    return (key or b"").decode("utf-8", "replace")
