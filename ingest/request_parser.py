"""Reads HTTP/1.1 requests from what a client sends: httptools with limits, and without the loss of bodies.

httptools limits neither a head nor a body, so unauthenticated callers could occupy memory. And it takes the body of a
request that offers another protocol for a part of that protocol. Java's HTTP client offers h2c with every call it makes
without TLS, so its calls would be stored without their body. Such offers are ignored here.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

import httptools

from paynotify.ingest.request_rules import is_ambiguous

#: uvloop's largest read. It may contain the rest of one request and the head of the next.
_READ_BYTES: Final = 256 * 1024

#: Providers call a few URLs again and again. The longest has `ingest.max_head_bytes`.
_KEPT_TARGETS: Final = 128

#: Takes the headers that come after a body, and forgets them: they are no part of the head.
_AFTER_THE_HEAD: Final[Any] = deque(maxlen=0)


class RequestHead(NamedTuple):
    """A request without its body. Names of headers are in lower case."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    keeps_alive: bool
    fields: dict[bytes, bytes]
    """The headers by name; of one that comes twice, the last."""


class RequestEvents(Protocol):
    """Takes what was read, in order."""

    def on_head(self, head: RequestHead) -> None: ...

    def on_body(self, part: bytes) -> None: ...

    def on_end(self) -> None: ...


class UnreadableRequestError(Exception):
    """The client's bytes are no request that may be read on. It never leaves this package."""


class HeadTooLargeError(UnreadableRequestError):
    """A head is over its limit."""


class BodyTooLongError(UnreadableRequestError):
    """A body, which is discarded already, is over its limit."""


class RequestParser:
    """Reads the requests of one connection.

    ``message_bytes`` is what was read of the current one, or of its head, since the read in which another one ended.
    """

    def __init__(self, events: RequestEvents, max_head_bytes: int, max_message_bytes: int) -> None:
        self._events = events
        self._max_head_bytes = max_head_bytes
        self._max_message_bytes = max_message_bytes
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._offers_upgrade = False
        self._follows_another = False
        self._counts_head = False
        self.in_head = True
        self.has_begun = False
        self.message_bytes = 0
        self.on_body = events.on_body
        self._parser: Any = httptools.HttpRequestParser(self)
        # a pipelined request after one that closes the connection must not spoil the first one's response
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed(self, data: bytes) -> None:
        """Read on; calls the events.

        Raises:
            UnreadableRequestError: the connection must be closed.
        """
        self._follows_another = False
        self.message_bytes += len(data)
        if self.message_bytes > (self._max_head_bytes + _READ_BYTES if self.in_head else self._max_message_bytes):
            raise HeadTooLargeError if self.in_head else BodyTooLongError
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, httptools.HttpParserError | UnicodeError):
                raise cause from None  # an event's
            raise UnreadableRequestError from None
        if self.in_head and self.has_begun:
            self._check_head()

    def close(self) -> None:
        """Read no more. Parser and events know each other, and only the garbage collector would free the circle."""
        self._parser = None
        del self._events, self.on_body

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stopped:
                rest = data[stopped.args[0] :]
            if not self._offers_upgrade:
                return  # CONNECT: what follows is for another server
            # RFC 9110, 7.8: an offer may be ignored; the request is then like any other
            data = self._head_without_upgrade() + rest

    def _head_without_upgrade(self) -> bytes:
        version = self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._url, version)]
        lines += [b"%b: %b" % one for one in self._headers if one[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _check_head(self) -> None:
        """Count the head itself, unless all that was read is within the limit.

        Raises:
            HeadTooLargeError: it is over the limit.
        """
        if self.message_bytes <= self._max_head_bytes and not self._counts_head:
            return
        if len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers) > self._max_head_bytes:
            raise HeadTooLargeError

    # --- what httptools calls -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.has_begun = True
        self._counts_head = self._follows_another
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._check_head()
        parser = self._parser
        method = parser.get_method().decode()
        self._offers_upgrade = parser.should_upgrade() and method != "CONNECT"
        if self._offers_upgrade:
            return  # the parser stops here; the request is parsed again without the offer
        self.in_head = False
        headers, self._headers = self._headers, _AFTER_THE_HEAD
        fields = dict(headers)
        version = parser.get_http_version()
        is_plain = (
            version == "1.1"
            and len(fields) == len(headers)
            and b"host" in fields
            and b"transfer-encoding" not in fields
        )
        if not is_plain and is_ambiguous(version, headers, fields):
            raise UnreadableRequestError
        path, query = _target(self._url)
        keeps_alive = parser.should_keep_alive() and version != "1.0"
        self._events.on_head(RequestHead(method, path, query, headers, keeps_alive, fields))

    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return
        self.in_head = True
        self.has_begun = False
        self.message_bytes = 0
        self._follows_another = True  # the next one, if this read has its beginning
        self._events.on_end()


@lru_cache(_KEPT_TARGETS)
def _target(url: bytes) -> tuple[str, bytes]:
    """The path and query of a request target.

    Raises:
        httptools.HttpParserInvalidURLError: it is no URL.
    """
    parsed = httptools.parse_url(url)
    path = (parsed.path or b"").decode("ascii")
    return _decoded(path) if "%" in path else path, parsed.query or b""


def _decoded(path: str) -> str:
    """The path without percent-encoding, except for a slash: an encoded one separates nothing (RFC 3986, 2.2)."""
    return path if "%2f" in path.lower() else unquote(path)
