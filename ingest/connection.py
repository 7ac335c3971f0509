"""An HTTP connection with limits, and without the loss of bodies that offer an upgrade.

uvicorn's httptools protocol limits neither the size of a request's head nor the time until it is complete, so
unauthenticated callers could occupy memory and sockets. The limits here close such connections.

uvicorn also discards the body of a request that offers another protocol. Java's HTTP client offers h2c with every call
it makes without TLS, so its calls would be stored without their body. Such offers are ignored here.

A proxy in front of the ingress that limits the size and time of request heads, buffers bodies and drops the ``Upgrade``
header makes all of this superfluous, except the number of connections. Most do not drop ``Upgrade`` by default.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.ingress import HEAD_TOO_LARGE, RESPONSES, RequestOutcome
from service.private_names import PrivateName, require

#: uvloop's largest read. It may contain the rest of one request and the head of the next.
_READ_BYTES: Final = 256 * 1024
#: What is read and discarded after an early response (413 and the like), so that the client reads the response
#: instead of a reset connection.
_DISCARD_BYTES: Final = 4 * 1024 * 1024

_HEAD_TOO_LARGE: Final = HEAD_TOO_LARGE.head()
_NOT_HTTP: Final = "Invalid HTTP request received."
_TOO_SLOW: Final = RESPONSES[RequestOutcome.TOO_SLOW].head()


_PROTOCOL: Final = "uvicorn.protocols.http.httptools_impl"

#: What `BoundedConnection` and `ingest.server.Server` use of uvicorn; ``data_received`` is replaced as a whole.
PRIVATE_NAMES: Final = (
    PrivateName(
        "uvicorn",
        _PROTOCOL,
        "HttpToolsProtocol.data_received",
        ("_unset_keepalive_if_required", "feed_data", "send_400_response", "HttpParserUpgrade"),
    ),
    PrivateName(
        "uvicorn", _PROTOCOL, "HttpToolsProtocol.__init__", ("connections", "parser", "cycle", "loop", "transport")
    ),
    PrivateName("uvicorn", _PROTOCOL, "HttpToolsProtocol.on_message_begin", ("url", "headers")),
    PrivateName("uvicorn", "uvicorn.server", "Server.serve", ("capture_signals",)),
)


class HeadTooLargeError(Exception):
    """Stops the parser. It never leaves this module."""


class BoundedConnection(HttpToolsProtocol):
    """A connection that limits its request heads in size and time. `bounded` sets the limits."""

    max_head_bytes: ClassVar[int] = 16 * 1024
    max_message_bytes: ClassVar[int] = _DISCARD_BYTES
    head_seconds: ClassVar[float] = 10.0
    max_connections: ClassVar[int] = 10_000

    head_bytes = 0
    message_bytes = 0
    in_head = True
    offers_upgrade = False
    head_until_seconds = math.inf

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.head_until_seconds = self.loop.time() + self.head_seconds
        if len(self.connections) > self.max_connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self.message_bytes += len(data)
        if self.message_bytes > (self.max_head_bytes + _READ_BYTES if self.in_head else self.max_message_bytes):
            self.end(_HEAD_TOO_LARGE if self.in_head else b"")
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response(_NOT_HTTP)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            if not self.offers_upgrade:
                return  # CONNECT: what follows is for another server
            # RFC 9110, 7.8: an offer may be ignored; the request is then like any other
            self._parse(self._head_without_upgrade() + data[stopped.args[0] :])

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % one for one in self.headers if one[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        self.head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.head_bytes += len(url)
        if self.head_bytes > self.max_head_bytes:
            raise HeadTooLargeError
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value) + 4
        if self.head_bytes > self.max_head_bytes:
            raise HeadTooLargeError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.offers_upgrade = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self.offers_upgrade:
            return  # the parser stops here; the request is parsed again without the offer
        self.in_head = False
        self.head_until_seconds = math.inf
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.offers_upgrade:
            return
        self.in_head = True
        self.message_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline:
            self.head_until_seconds = self.loop.time() + self.timeout_keep_alive + self.head_seconds
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self.head_bytes > self.max_head_bytes:
            self.end(_HEAD_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def end_if_slow(self, now_seconds: float) -> None:
        """Close a connection whose next head (or the rest of a refused request) takes too long."""
        if now_seconds > self.head_until_seconds:
            self.end(_TOO_SLOW if self.cycle is None else b"")

    def end(self, response: bytes) -> None:
        """Send ``response`` and close."""
        if not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()


def bounded(
    *, max_head_bytes: int, max_body_bytes: int, head_seconds: float, max_connections: int
) -> type[BoundedConnection]:
    """The protocol class with these limits; uvicorn creates the instances and passes no arguments.

    Raises:
        UnsupportedLibraryError: the installed uvicorn lacks a private name that the class uses.
    """
    require(PRIVATE_NAMES)
    limits = {
        "max_head_bytes": max_head_bytes,
        # a chunked body may need several bytes on the wire for each of its own
        "max_message_bytes": _DISCARD_BYTES + 8 * (max_body_bytes + max_head_bytes),
        "head_seconds": head_seconds,
        "max_connections": max_connections,
    }
    return type("BoundedConnection", (BoundedConnection,), limits)
