"""CloudEvents 1.0 headers in Kafka binary mode.

The value is the data alone; everything about it (id, source, type, time, trace) is a header. Header names
are lower case and values UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from paynotify.schemas.configuration.events import EventSettings, schema_id_bytes
from paynotify.schemas.messages.event_data import EVENT_DATA
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

#: Header with the id of the value's schema in a registry, where the configuration names it.
SCHEMA_ID: Final = "__value_schema_id"

JSON_CONTENT_TYPE: Final = b"application/json"

_SPECVERSION: Final = ("ce_specversion", b"1.0")


class EventHeaders:
    """Makes the headers of the events of one source and type.

    What all of them have in common is encoded once: a stage makes thousands a second. Events with a JSON value say so,
    and which schema it follows. A header without a value is left out: readers take it for a wrong one.
    """

    __slots__ = ("_common",)

    def __init__(self, settings: EventSettings, source: str, event_type: str) -> None:
        common = [("ce_source", f"{settings.source}{source}".encode()), ("ce_type", event_type.encode())]
        data = EVENT_DATA.get(event_type)
        if data is not None:
            schema = f"{settings.schema_base}{data.__name__}.json"
            common += [("content-type", JSON_CONTENT_TYPE), ("ce_dataschema", schema.encode())]
            schema_id = settings.schema_ids.get(data.__name__)
            if schema_id is not None:
                common.append((SCHEMA_ID, schema_id_bytes(schema_id)))
        self._common = tuple(common)

    def __call__(
        self, event_id: str, event_time: str = "", subject: bytes = b"", *, traceparent: str = "", **extra: str
    ) -> Headers:
        """The headers of one event, then ``extra`` (underscores become hyphens). ``subject`` is what it is about."""
        headers = [_SPECVERSION, ("ce_id", event_id.encode()), *self._common]
        if event_time:
            headers.append(("ce_time", event_time.encode()))
        if subject:
            headers.append(("ce_subject", subject))
        if traceparent:
            headers.append(("traceparent", traceparent.encode()))
        for name, value in extra.items():
            if value:
                headers.append((name.replace("_", "-"), value.encode()))
        return tuple(headers)


def with_headers(headers: Iterable[tuple[str, bytes]], changes: Mapping[str, str]) -> Headers:
    """The same headers in the same order, with those of ``changes`` replaced or added at the end; an empty text removes
    the header."""
    unchanged = tuple((name, value) for name, value in headers if name not in changes)
    return unchanged + tuple((name, value.encode()) for name, value in changes.items() if value)
