"""What the live pages tell of a record: whom it concerns and what it says; nothing of its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from paynotify.ops.console.index.tables import Table
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.records import Record
from paynotify.schemas.times import rfc3339_of

#: The kinds of events of which viewers see a list, by the index's table.
TAIL_KINDS: Final[Mapping[str, str]] = {"payments": "status", "rejected": "rejected", "dead": "dead"}
#: A payment that `paynotify forget` removed.
FORGOTTEN: Final = "forgotten"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One record of the topics that the index reads. A text is empty where the record has none."""

    kind: str
    provider: str
    merchant: str
    payment_id: str
    order_id: str
    says: str
    at: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class LiveFilter:
    """What a viewer wants to see, and may. An empty text or set wants all; ``merchants`` of None may see all.

    With both a payment and an order, what concerns either of them matches.
    """

    kinds: frozenset[str] = frozenset()
    provider: str = ""
    merchant: str = ""
    payment_id: str = ""
    order_id: str = ""
    merchants: frozenset[str] | None = None

    def matches(self, event: LiveEvent) -> bool:
        if self.merchants is not None and event.merchant not in self.merchants:
            return False
        return (
            (not self.kinds or event.kind in self.kinds)
            and self.provider in ("", event.provider)
            and self.merchant in ("", event.merchant)
            and self._concerns(event)
        )

    def _concerns(self, event: LiveEvent) -> bool:
        if not self.payment_id and not self.order_id:
            return True
        return (bool(self.payment_id) and event.payment_id == self.payment_id) or (
            bool(self.order_id) and event.order_id == self.order_id
        )


def live_event(table: Table, record: Record) -> LiveEvent | None:
    """The event of a table's record; None if the record can't be read."""
    if record.value is None:
        return _forgotten(record) if table.is_compacted and record.key is not None else None
    try:
        row = dict(zip(table.columns, table.read(record), strict=True))
    except UnreadableError:  # a shop's record, or one of a later release
        return None
    return LiveEvent(
        kind=TAIL_KINDS.get(table.name, table.name),
        provider=_text(row, "provider"),
        merchant=_text(row, "merchant"),
        payment_id=_text(row, "payment_id") or _text(row, "transaction_id"),
        order_id=_text(row, "order_id"),
        says=_says(row),
        at=rfc3339_of(record.timestamp_seconds),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


def _forgotten(record: Record) -> LiveEvent:
    merchant, _, payment_id = (record.key or b"").decode("utf-8", "replace").partition("/")
    place = (record.topic, record.partition, record.offset)
    return LiveEvent(FORGOTTEN, "", merchant, payment_id, "", "", rfc3339_of(record.timestamp_seconds), *place)


def _says(row: Mapping[str, Any]) -> str:
    words = [_text(row, name) for name in ("status", "state", "kind", "fulfilment", "reason")]
    return ", ".join(dict.fromkeys(one for one in words if one))


def _text(row: Mapping[str, Any], name: str) -> str:
    return row.get(name) or ""
