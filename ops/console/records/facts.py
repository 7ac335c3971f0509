"""What the console shows of one record: its key, time, size, and those of its headers that hold no text from outside.

A header is shown if it is one that paynotify writes, and its value has the form that paynotify gives it. What a caller
sent (user agent, query, request id, token of the address) is not, and no value ever is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from paynotify.ops.console.index.rows import NOT_SHOWN, SHOWN_ID
from paynotify.schemas import topics
from paynotify.schemas.messages import EVENT_DATA, ExpectedPayment, RequestedPayment, decode_or_none
from paynotify.schemas.reasons import ALERT_KINDS, DEAD_REASONS, DELIVERY_REASONS, REJECT_REASONS
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339_of

_MEDIA_TYPES: Final = frozenset(
    {"application/json", "application/x-www-form-urlencoded", "application/jose", "text/plain", "application/xml"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """One record without its value. ``size_bytes`` is None for a record without a value (a tombstone)."""

    key: str
    at: str
    size_bytes: int | None
    headers: tuple[tuple[str, str], ...]
    hidden_headers: int


def record_facts(record: Record) -> RecordFacts:
    """What may be shown of the record."""
    shown = [(name, text) for name, _ in record.headers if (text := _shown(name, record)) is not None]
    key = (record.key or b"").decode("utf-8", "replace")
    return RecordFacts(
        key=_id(key) or (NOT_SHOWN if key else ""),
        at=rfc3339_of(record.timestamp_seconds),
        size_bytes=len(record.value) if record.value is not None else None,
        headers=tuple(dict(shown).items()),
        hidden_headers=len({name for name, _ in record.headers} - {name for name, _ in shown}),
    )


def merchant_of(record: Record, own_topic: str) -> str:
    """The merchant whose record it is: as its message says, or else its key; empty if neither says."""
    kind = EVENT_DATA.get(record.header("ce_type")) or _SHOP_MESSAGES.get(own_topic)
    if kind is not None:
        return getattr(decode_or_none(record.value, kind), "merchant", None) or ""
    return (record.key or b"").partition(b"/")[0].decode("utf-8", "replace")


#: Shops write these topics with keys of their own, and without headers.
_SHOP_MESSAGES: Final = {topics.EXPECTED: ExpectedPayment, topics.REQUESTED: RequestedPayment}


def _shown(name: str, record: Record) -> str | None:
    form = _FORMS.get(name)
    return form(record.header(name)) if form is not None else None


def _matches(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern + r"\Z", re.ASCII)
    return lambda text: text if compiled.match(text) else None


def _among(words: Collection[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in words else None


def _time(text: str) -> str | None:
    return text if parse_time(text) is not None else None


def _media_type(text: str) -> str | None:
    media_type = text.partition(";")[0].strip().lower()
    return media_type if media_type in _MEDIA_TYPES else None


_id: Final = _matches(SHOWN_ID.pattern)
_number: Final = _matches(r"[0-9]{1,18}")

_FORMS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "ce_specversion": _among(("1.0",)),
    "ce_id": _id,
    "ce_type": _matches(r"payment\.[a-z.-]{1,60}\.v[0-9]{1,3}"),
    "ce_source": _matches(r"[A-Za-z0-9:/._~%@+-]{1,250}"),
    "ce_subject": _id,
    "ce_dataschema": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9:/._~%@+-]{1,250}"),
    "traceparent": _matches(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "content-type": _media_type,
    "http-method": _among(("GET", "POST")),
    "http-status": _number,
    "reason": _among({*REJECT_REASONS, *DEAD_REASONS, *DELIVERY_REASONS}),
    "alert-kind": _among(ALERT_KINDS),
    "alert-state": _among(("raised", "over")),
    "original-topic": _matches(r"[A-Za-z0-9._-]{1,249}"),
    "original-partition": _number,
    "original-offset": _number,
    "attempts": _number,
    "masked-card-numbers": _number,
    "replayed-from": _matches(r"[A-Za-z0-9._-]{1,249}/[0-9]{1,9}/[0-9]{1,18}"),
    "duplicate-of": _id,
    **dict.fromkeys(("ce_time", "received-at", "stored-at", "first-seen", "not-before", "held-since"), _time),
}
