"""The rows that the index keeps. Each is made from one record alone.

A text that a shop, a caller or a provider chose is kept only where it has the form of what it stands for: an id, a
time, a word of a closed list. So no page can show what somebody wrote into a field of another purpose.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from paynotify.ops.replay.original import replay_targets
from paynotify.ops.trace.lookups import lookup_of
from paynotify.processors.orders.expected_payment import parse_expected, version_of
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import (
    LOOKUP_REQUESTED,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    ProviderSilent,
    Reconciliation,
    decode,
    encode,
)
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339, rfc3339_of

#: A record's values for the columns, in their order.
Row = tuple[Any, ...]

#: The states of a request in their order: how far it is.
REQUEST_STATES: Final = ("received", "started", "uncertain", "refused", "done")
#: Stands for a text that is not shown.
NOT_SHOWN: Final = "?"
#: The form of an id that may be shown.
SHOWN_ID: Final = re.compile(r"[0-9A-Za-z._:/-]{1,255}\Z")


def payment_row(record: Record) -> Row:
    """A payment's newest event."""
    one = decode(record.value, PaymentStatus)
    return (
        *(one.merchant, one.payment_id, one.sequence, one.order_id, one.provider, one.status, one.fulfilment),
        *(one.checks.amount, one.final, *_money(one.amount), one.reason, one.observed_at, record.value),
        *_place(record),
    )


def expected_row(record: Record) -> Row:
    """What a shop expects of an order, read as the stages read it: what they refuse is not expected, and of two
    announcements the one that they compare payments with is the newer."""
    one = parse_expected(record.value)
    version = version_of(one, round(record.timestamp_seconds * 1000), record.partition, record.offset)
    return (
        *(one.merchant, one.order_id, version, one.created_at, one.payment_id, *_money(one.amount)),
        *(one.final_by, *_place(record)),
    )


def overdue_row(record: Record) -> Row:
    """The newest report of a late order."""
    one = decode(record.value, OverduePayment)
    return (
        *(one.merchant, one.order_id, one.at, one.state, one.provider, one.payment_id, one.status, one.reason),
        *(*_money(one.amount), _moment(one.final_by), *_place(record)),
    )


def request_row(record: Record) -> Row:
    """How far a request to charge, capture or release is."""
    one = decode(record.value, PaymentRequest)
    return (
        *(one.merchant, one.request_id, REQUEST_STATES.index(one.state), one.state, one.action, one.provider),
        *(one.reason, one.order_id, one.payment_id, *_money(one.amount), one.status, one.at, *_place(record)),
    )


def silent_row(record: Record) -> Row:
    """Whether a provider reports."""
    one = decode(record.value, ProviderSilent)
    return (one.provider, one.merchant or "", one.at, one.state, one.unheard, one.since, one.urgent, *_place(record))


def case_row(record: Record) -> Row:
    """What a person has to know of."""
    one = decode(record.value, OperationsEvent)
    return (
        *(one.event_id, one.kind, one.provider, one.merchant, one.payment_id, one.status, one.refused),
        *(one.elements_total, one.at, *_place(record)),
    )


def action_row(record: Record) -> Row:
    """What an operator began, or how it ended: one row for each of both."""
    one = decode(record.value, OperatorAction)
    return (
        *(one.action_id, one.state != "intended", one.state, one.command, one.by, one.os_user, one.kafka_user),
        *(one.at, one.merchant, one.payment_id, encode(one), *_place(record)),
    )


def reconciliation_row(record: Record) -> Row:
    """What a run of `paynotify reconcile` found."""
    one = decode(record.value, Reconciliation)
    return (
        *(one.merchant, one.event_id, one.at, one.provider, one.start, one.end, one.source, one.compared),
        *(one.differences_total, one.unreadable, one.repair, one.queued, one.by, encode(one), *_place(record)),
    )


def rejected_row(record: Record) -> Row:
    """A rejected notification; nothing of what the caller sent but the ids."""
    texts = record.texts()
    key, merchant, transaction = _key(record)
    return (
        *(provider_of_topic(texts.get("original-topic", "")), merchant, transaction, key, _plain(texts, "ce_id")),
        *(_word(texts, REJECT_REASONS), _moment(texts.get("ce_time", "")), _at(record), *_place(record)),
    )


def dead_row(record: Record) -> Row:
    """A dead-lettered record; of what it holds only the id of the notification behind it."""
    texts = record.texts()
    key, merchant, transaction = _key(record)
    topic = texts.get("original-topic", "")
    return (
        *(provider_of_topic(topic), merchant, transaction, key, _plain(texts, "ce_id"), _notification(record, texts)),
        *(_word(texts, DEAD_REASONS), stage_of_topic(topic), record.number("attempts")),
        *(_moment(texts.get("first-seen", "")), _at(record), *_place(record)),
    )


@lru_cache(maxsize=256)
def provider_of_topic(topic: str) -> str:
    """The provider of a topic (name on the cluster) that records may be replayed to, ``all`` of one that several share;
    empty for any other. As `paynotify replay` has it."""
    own = stage_of_topic(topic)
    return _TARGETS.get(own, "")


@lru_cache(maxsize=256)
def stage_of_topic(topic: str) -> str:
    """The topic's own name, without an installation's prefix; ``?`` for one that is not paynotify's."""
    return max((own for own in _TARGETS if topic.endswith(own)), key=len, default=NOT_SHOWN)


_TARGETS: Final[Mapping[str, str]] = replay_targets(KafkaSettings())


def _key(record: Record) -> tuple[str, str, str]:
    """The key's text, its merchant and its transaction."""
    text = (record.key or b"").decode("utf-8", "replace")
    key = text if not text or SHOWN_ID.match(text) else NOT_SHOWN
    merchant, _, transaction = key.partition("/")
    return key, merchant, transaction


def _notification(record: Record, texts: Mapping[str, str]) -> str:
    if texts.get("ce_type") != LOOKUP_REQUESTED:
        return ""
    lookup = lookup_of(record)
    if lookup is None:
        return ""
    return lookup.notification_id if SHOWN_ID.match(lookup.notification_id) else NOT_SHOWN


def _word(texts: Mapping[str, str], words: Collection[str]) -> str:
    word = texts.get("reason", "")
    return word if word in words else NOT_SHOWN


def _plain(texts: Mapping[str, str], name: str) -> str:
    text = texts.get(name, "")
    return text if not text or SHOWN_ID.match(text) else NOT_SHOWN


def _place(record: Record) -> Row:
    return record.partition, record.offset


def _moment(text: str) -> str:
    """The time in UTC, so that times of shops can be compared; empty if it is none."""
    moment = parse_time(text)
    return rfc3339(moment) if moment is not None else ""


def _at(record: Record) -> str:
    return rfc3339_of(record.timestamp_seconds)


def _money(amount: Money | None) -> tuple[int | None, str | None]:
    return (amount.value, amount.currency) if amount is not None else (None, None)
