"""Kafka records as the stages see them: raw bytes plus CloudEvents 1.0 headers in binary mode.

The value is the data alone; everything about it (id, source, type, time, trace) is a header. Header names
are lower case and values UTF-8.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

Headers = tuple[tuple[str, bytes], ...]

#: Derived ids (lookups, payment events) are UUIDv5 under this name, so a repeat has the same id (G5).
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://paynotify/events/v1").bytes

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_NUMBER = re.compile(r"[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read from a topic. ``timestamp_seconds`` is the broker's, in Unix time."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_seconds: float

    def header(self, name: str, default: str = "") -> str:
        """The last header of that name as text; ``default`` where there is none or it is not UTF-8."""
        for key, value in reversed(self.headers):
            if key == name:
                try:
                    return value.decode()
                except (UnicodeDecodeError, AttributeError):
                    return default
        return default

    def number(self, name: str, default: int = 0) -> int:
        """The header as a number from 0 to 999,999,999; ``default`` where it is none."""
        text = self.header(name)
        return int(text) if _NUMBER.match(text) else default


@dataclass(frozen=True, slots=True)
class Output:
    """One record to be written. ``partition`` is only given where a partitioner must not choose."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


def derived_id(*parts: str) -> str:
    """A UUIDv5 that depends on nothing but its parts."""
    name = _NAMESPACE + "\x1f".join(parts).encode()
    return _uuid_text(hashlib.sha1(name, usedforsecurity=False).digest()[:16], version=5)


def time_ordered_id() -> str:
    """A new UUIDv7: unique, and sorted by the millisecond of its making."""
    milliseconds = time.time_ns() // 1_000_000
    return _uuid_text(milliseconds.to_bytes(6, "big") + os.urandom(10), version=7)


def _uuid_text(raw: bytes, version: int) -> str:
    """A UUID's text from its 16 bytes; by `uuid.UUID` it takes three times as long, and each record has one."""
    text = raw.hex()
    variant = "89ab"[raw[8] >> 4 & 3]
    return f"{text[:8]}-{text[8:12]}-{version}{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def new_traceparent() -> str:
    """A new W3C trace context, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def valid_traceparent(text: str) -> bool:
    """Whether the text is a W3C ``traceparent`` of version 00 that names a trace."""
    return bool(_TRACEPARENT.match(text)) and text[3:35] != "0" * 32 and text[36:52] != "0" * 16


def rfc3339(moment: datetime | None = None) -> str:
    """UTC with milliseconds and ``Z``; now, if no moment is given."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 or ISO 8601 instant with offset, in UTC; ``None`` where the text is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # overflow: in UTC it would be before the year 1 or after 9999
        return None


def cloud_event(
    *, event_id: str, source: str, event_type: str, event_time: str, traceparent: str = "", **extra: str
) -> Headers:
    """CloudEvents 1.0 headers in binary mode, then ``extra`` (underscores become hyphens)."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
        ("ce_time", event_time.encode()),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    headers.extend((name.replace("_", "-"), value.encode()) for name, value in extra.items())
    return tuple(headers)


def with_headers(headers: Iterable[tuple[str, bytes]], changes: Mapping[str, str]) -> Headers:
    """The same headers in the same order, with those of ``changes`` replaced or added at the end."""
    kept = tuple((name, value) for name, value in headers if name not in changes)
    return kept + tuple((name, value.encode()) for name, value in changes.items())
