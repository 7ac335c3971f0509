"""The result topics: sequences without gaps, one content per event id, and the newest event on ``payments.latest``.

Memory: about 430 bytes for a payment of the window with one event, 150 for each further event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ops.audit.ledger import AuditDifference, identity, shown
from ops.common.topic_reader import Place


class _ResultEvent(msgspec.Struct):
    event_id: str
    sequence: int


_EVENT: Final = msgspec.json.Decoder(_ResultEvent)


@dataclass(slots=True)
class ResultSums:
    """What the result topic holds."""

    events: int = 0
    payments: int = 0
    repeats: int = 0


class Results:
    """Judges the records of ``payments.status`` in order, then those of ``payments.latest``."""

    def __init__(self, complete: frozenset[Place]) -> None:
        self._complete = complete  # partitions read from their first record on: there a payment begins with 1
        self._contents: dict[bytes, bytes] = {}
        self._sequences: dict[bytes, int] = {}
        self._newest: dict[bytes, bytes] = {}
        self._latest: dict[bytes, bytes] = {}
        self.sums = ResultSums()

    def status(self, place: Place, records: list[Any]) -> Iterator[AuditDifference]:
        """Take records of ``payments.status``."""
        for record in records:
            what = self._event(place, record)
            if what:
                yield AuditDifference(
                    scope="results",
                    what=what,
                    name=f"payment {_text(record.key)}",
                    where=f"{place.topic}/{place.partition}/{record.offset}",
                )

    def latest(self, records: list[Any]) -> None:
        """Take records of ``payments.latest``."""
        for record in records:
            self._latest[record.key or b""] = _digest(record.value or b"")

    def unequal(self) -> list[bytes]:
        """The payments whose latest is not their last event."""
        latest = self._latest
        return [key for key, digest in self._newest.items() if latest.get(key) != digest]

    def differences(self) -> Iterator[AuditDifference]:
        """What is only known when both topics were read."""
        for key in self.unequal():
            what = "on payments.latest is not its last event" if key in self._latest else "is not on payments.latest"
            yield AuditDifference(scope="results", what=what, name=f"payment {_text(key)}")

    def _event(self, place: Place, record: Any) -> str:
        key, value = record.key or b"", record.value or b""
        try:
            event = _EVENT.decode(value)
        except msgspec.MsgspecError:
            return "has an event that can't be read"
        name, digest = identity(event.event_id.encode()), _digest(value)
        known = self._contents.get(name)
        if known is not None:
            self.sums.repeats += 1
            return "" if known == digest else f"has two contents under one event id {shown(name)}"
        self._contents[name] = digest
        self.sums.events += 1
        self._newest[key] = digest
        before = self._sequences.get(key)
        self._sequences[key] = event.sequence
        if before is None:
            self.sums.payments += 1
            if event.sequence == 1 or place not in self._complete:
                return ""
            before = 0
        return "" if event.sequence == before + 1 else f"has sequence {event.sequence} after {before}"


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def _text(key: bytes | None) -> str:
    return (key or b"").decode("utf-8", "replace")
