"""Builds the headers of a webhook call's record: CloudEvents 1.0 (binary mode), and how the call was made.

What its caller sent as headers is added by `ingest.sent_headers`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from paynotify.schemas.ids import time_ordered_id
from paynotify.schemas.messages import NOTIFICATION_RECEIVED
from paynotify.schemas.traceparent import given_traceparent, new_traceparent

_SPECVERSION: Final = ("ce_specversion", b"1.0")
_TYPE: Final = ("ce_type", NOTIFICATION_RECEIVED.encode())
_METHODS: Final = {method: ("http-method", method.encode()) for method in ("POST", "GET")}

RecordHeaders = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Provider and merchant of a notification. ``source`` is a finished header, built once for each route."""

    provider: str
    merchant: str
    source: tuple[str, bytes]


def origin(provider: str, merchant: str, source: str = "") -> Origin:
    """The origin behind ``/notifications/{provider}/{merchant}``; ``source`` is what begins every source of events."""
    return Origin(provider, merchant, ("ce_source", f"{source}/notifications/{provider}/{merchant}".encode()))


class TimestampFormatter:
    """RFC 3339 in UTC with milliseconds, as bytes.

    The part down to the second is cached: formatting it for each call would cost more than all other headers.
    """

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = b""

    def now(self) -> bytes:
        milliseconds = time.time_ns() // 1_000_000
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
            self._second = second
        return b"%b.%03dZ" % (self._prefix, rest)


def record_headers(
    came_from: Origin,
    method: str,
    query: bytes,
    request: Mapping[bytes, bytes],
    received_at: bytes,
    traceparent: bytes | None = None,
) -> RecordHeaders:
    """The headers of one record. ``request`` has the HTTP headers, with names in lower case; ``traceparent`` is that of
    the call's span, or None where there are no traces."""
    headers = [
        _SPECVERSION,
        ("ce_id", time_ordered_id().encode()),
        came_from.source,
        _TYPE,
        ("ce_time", received_at),
        _METHODS[method],
        ("traceparent", traceparent or given_traceparent(request.get(b"traceparent")) or new_traceparent().encode()),
    ]
    if query:
        headers.append(("http-query", query))
    return headers
