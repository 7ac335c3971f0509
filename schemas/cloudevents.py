"""CloudEvents 1.0 headers in Kafka binary mode.

The value is the data alone; everything about it (id, source, type, time, trace) is a header. Header names
are lower case and values UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from paynotify.schemas.records import Headers

#: Header of a replayed record: the position on the rejected or dead-letter topic that it came from.
REPLAYED_FROM: Final = "replayed-from"

#: Header of a lookup that is held back: since when, because every call for its merchant fails.
HELD_SINCE: Final = "held-since"

#: Header of a record whose value is encrypted: the id of the key.
ENCRYPTION_KEY: Final = "encryption-key"

#: Header of a rejected notification, and of its replayed copy: when the brokers first stored it.
STORED_AT: Final = "stored-at"

#: Header of a record in which card numbers were masked before it was stored: how many.
MASKED_CARD_NUMBERS: Final = "masked-card-numbers"

_SPECVERSION: Final = ("ce_specversion", b"1.0")


def cloud_event(
    *, event_id: str, source: str, event_type: str, event_time: str, traceparent: str = "", **extra: str
) -> Headers:
    """CloudEvents 1.0 headers in binary mode, then ``extra`` (underscores become hyphens)."""
    headers: Headers = (
        _SPECVERSION,
        ("ce_id", event_id.encode()),
        *_source_and_type(source, event_type),
        ("ce_time", event_time.encode()),
    )
    if traceparent:
        headers += (("traceparent", traceparent.encode()),)
    if extra:
        headers += tuple([(name.replace("_", "-"), value.encode()) for name, value in extra.items()])
    return headers


@lru_cache(maxsize=1024)
def _source_and_type(source: str, event_type: str) -> Headers:
    """The headers that all events of a stage have in common: a stage makes them thousands of times a second."""
    return ("ce_source", source.encode()), ("ce_type", event_type.encode())


def with_headers(headers: Iterable[tuple[str, bytes]], changes: Mapping[str, str]) -> Headers:
    """The same headers in the same order, with those of ``changes`` replaced or added at the end."""
    unchanged = tuple((name, value) for name, value in headers if name not in changes)
    return unchanged + tuple((name, value.encode()) for name, value in changes.items())
