"""A webhook call as a Kafka record: what is kept of the request, in CloudEvents 1.0 headers (binary mode).

Only what a verifier or an investigator needs is kept, by allow-list. Addresses, credentials, cookies and all
other headers of the request are left behind (G8).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.ids import time_ordered_id
from schemas.messages import NOTIFICATION_RECEIVED
from schemas.traceparent import new_traceparent, valid_traceparent

#: Longest value kept of one request header.
MAX_VALUE_BYTES: Final = 256

#: Kept where the request has them. ``content-type`` and ``traceparent`` are written always.
KEPT_IF_PRESENT: Final = (b"user-agent", b"x-request-id")

_KEPT_NAMES: Final = tuple((name, name.decode()) for name in KEPT_IF_PRESENT)
_SPECVERSION: Final = ("ce_specversion", b"1.0")
_TYPE: Final = ("ce_type", NOTIFICATION_RECEIVED.encode())
_METHODS: Final = {method: ("http-method", method.encode()) for method in ("POST", "GET")}

RecordHeaders = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose notification it is. ``source`` is ready to be a header, so that it is built once per route."""

    provider: str
    merchant: str
    source: tuple[str, bytes]


def origin(provider: str, merchant: str) -> Origin:
    """The origin behind ``/notifications/{provider}/{merchant}``."""
    return Origin(provider, merchant, ("ce_source", f"/notifications/{provider}/{merchant}".encode()))


class TimestampFormatter:
    """RFC 3339 in UTC with milliseconds, as bytes. Formatting a whole date for each call would cost more than
    the rest of the headers, so the part down to the second is kept while it lasts."""

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
    came_from: Origin, method: str, query: bytes, request: Mapping[bytes, bytes], received_at: bytes
) -> RecordHeaders:
    """The headers of one stored notification. ``request`` are the HTTP headers, names in lower case."""
    headers = [
        _SPECVERSION,
        ("ce_id", time_ordered_id().encode()),
        came_from.source,
        _TYPE,
        ("ce_time", received_at),
        ("content-type", _plain(request.get(b"content-type", b""))),
        _METHODS[method],
        ("http-query", query),
        ("traceparent", _trace(request.get(b"traceparent"))),
    ]
    for name, record_name in _KEPT_NAMES:
        value = request.get(name)
        if value is not None:
            headers.append((record_name, _plain(value)))
    return headers


def _plain(value: bytes) -> bytes:
    """Cut to length; bytes outside ASCII are escaped, because readers of record headers expect UTF-8."""
    value = value[:MAX_VALUE_BYTES]
    return value if value.isascii() else value.decode("ascii", "backslashreplace").encode()[:MAX_VALUE_BYTES]


def _trace(given: bytes | None) -> bytes:
    """The caller's trace context if it is one, else a new one."""
    if given is not None and given.isascii() and valid_traceparent(given.decode()):
        return given
    return new_traceparent().encode()
