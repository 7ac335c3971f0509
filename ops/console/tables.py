"""What the index keeps of each topic: one row for each thing that a page lists or a search finds.

A row is made from one record alone. Of two rows with the same key the newer one stays, whichever was read first. So the
index is the same in whatever order the partitions are read, and however often a record is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from paynotify.schemas import topics
from paynotify.schemas.messages import (
    ExpectedPayment,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    ProviderSilent,
    decode,
)
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339

#: A record's values for the columns, in their order.
Row = tuple[Any, ...]

_PLACE: Final = ("partition", "offset")
_REQUEST_STATES: Final = ("received", "started", "uncertain", "refused", "done")


@dataclass(frozen=True, slots=True)
class Table:
    """A table and how its rows are read. The first ``keys`` columns are the key, the last two the record's place.

    Of two rows with the same key that with the greater ``newest`` column stays; if they are equal, the one with the
    greater place. ``searched`` are the columns that a search looks in. ``is_compacted``: a record without a value
    removes the row of its key.
    """

    name: str
    topic: str
    columns: tuple[str, ...]
    keys: int
    newest: str
    searched: tuple[str, ...]
    read: Callable[[Record], Row]
    is_compacted: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Without key columns each record has a row of its own, by its place."""
        return self.columns[: self.keys] or _PLACE


def _place(record: Record) -> Row:
    return record.partition, record.offset


def _moment(text: str) -> str:
    """The time in UTC, so that times of shops can be compared; as it is, if it is none."""
    moment = parse_time(text)
    return rfc3339(moment) if moment is not None else text


def _at(record: Record) -> str:
    return rfc3339(datetime.fromtimestamp(record.timestamp_seconds, UTC))


def _money(amount: Money | None) -> tuple[int | None, str | None]:
    return (amount.value, amount.currency) if amount is not None else (None, None)


def _payment(record: Record) -> Row:
    """A payment's newest event."""
    one = decode(record.value, PaymentStatus)
    return (
        *(one.merchant, one.payment_id, one.sequence, one.order_id, one.provider, one.status, one.fulfilment),
        *(one.final, *_money(one.amount), one.reason, one.observed_at, record.value, *_place(record)),
    )


def _expected(record: Record) -> Row:
    one = decode(record.value, ExpectedPayment)
    return (
        *(one.merchant, one.order_id, _moment(one.created_at), one.payment_id, *_money(one.amount), one.final_by),
        *_place(record),
    )


def _overdue(record: Record) -> Row:
    one = decode(record.value, OverduePayment)
    return (
        *(one.merchant, one.order_id, one.at, one.state, one.provider, one.payment_id, one.status, one.reason),
        *(one.final_by, *_place(record)),
    )


def _request(record: Record) -> Row:
    one = decode(record.value, PaymentRequest)
    return (
        *(one.merchant, one.request_id, _REQUEST_STATES.index(one.state), one.state, one.action, one.provider),
        *(one.reason, one.order_id, one.payment_id, *_money(one.amount), one.status, one.at, *_place(record)),
    )


def _silent(record: Record) -> Row:
    one = decode(record.value, ProviderSilent)
    return (one.provider, one.merchant or "", one.at, one.state, one.unheard, one.since, one.urgent, *_place(record))


def _case(record: Record) -> Row:
    one = decode(record.value, OperationsEvent)
    return (one.event_id, one.kind, one.provider, one.merchant, one.payment_id, one.at, *_place(record))


def _action(record: Record) -> Row:
    one = decode(record.value, OperatorAction)
    ended = one.state != "intended"
    return (
        *(one.action_id, ended, one.state, one.command, one.by, one.identity, one.at, one.merchant, one.payment_id),
        *(one.reason, one.planned, one.published, msgspec.json.encode(one.arguments)),
        *_place(record),
    )


def _rejected(record: Record) -> Row:
    texts = record.texts()
    provider, _, merchant = texts.get("ce_source", "").removeprefix("/notifications/").partition("/")
    key = (record.key or b"").decode("utf-8", "replace")
    return (
        *(provider, merchant, key.partition("/")[2], texts.get("ce_id", ""), texts.get("reason", "")),
        *(texts.get("ce_time", ""), _at(record), *_place(record)),
    )


def _dead(record: Record) -> Row:
    texts = record.texts()
    merchant, _, transaction = (record.key or b"").decode("utf-8", "replace").partition("/")
    return (
        *(texts.get("original-topic", ""), merchant, transaction, texts.get("ce_id", ""), texts.get("reason", "")),
        *(texts.get("attempts", ""), texts.get("first-seen", ""), _at(record), *_place(record)),
    )


TABLES: Final = (
    Table(
        "payments",
        topics.LATEST,
        (
            *("merchant", "payment_id", "sequence", "order_id", "provider", "status", "fulfilment", "final", "amount"),
            *("currency", "reason", "observed_at", "event", *_PLACE),
        ),
        2,
        "sequence",
        ("payment_id", "order_id"),
        _payment,
        is_compacted=True,
    ),
    Table(
        "expected",
        topics.EXPECTED,
        ("merchant", "order_id", "created_at", "payment_id", "amount", "currency", "final_by", *_PLACE),
        2,
        "created_at",
        ("order_id",),
        _expected,
    ),
    Table(
        "overdue",
        topics.OVERDUE,
        (
            *("merchant", "order_id", "at", "state", "provider", "payment_id", "status", "reason", "final_by"),
            *_PLACE,
        ),
        2,
        "at",
        ("order_id",),
        _overdue,
    ),
    Table(
        "requests",
        topics.REQUESTS,
        (
            *("merchant", "request_id", "progress", "state", "action", "provider", "reason", "order_id", "payment_id"),
            *("amount", "currency", "status", "at", *_PLACE),
        ),
        2,
        "progress",
        ("request_id", "order_id"),
        _request,
    ),
    Table(
        "silent",
        topics.SILENT,
        ("provider", "merchant", "at", "state", "unheard", "since", "urgent", *_PLACE),
        2,
        "at",
        (),
        _silent,
    ),
    Table(
        "cases",
        topics.OPERATIONS,
        ("event_id", "kind", "provider", "merchant", "payment_id", "at", *_PLACE),
        1,
        "",
        (),
        _case,
    ),
    Table(
        "actions",
        topics.OPERATORS,
        (
            *("action_id", "ended", "state", "command", "by", "identity", "at", "merchant", "payment_id", "reason"),
            *("planned", "published", "arguments", *_PLACE),
        ),
        1,
        "ended",
        (),
        _action,
    ),
    Table(
        "rejected",
        topics.REJECTED,
        ("provider", "merchant", "transaction_id", "notification_id", "reason", "received_at", "at", *_PLACE),
        0,
        "",
        ("transaction_id", "notification_id"),
        _rejected,
    ),
    Table(
        "dead",
        topics.DEAD,
        (
            *("original_topic", "merchant", "transaction_id", "record_id", "reason", "attempts", "first_seen", "at"),
            *_PLACE,
        ),
        0,
        "",
        ("transaction_id", "record_id"),
        _dead,
    ),
)
