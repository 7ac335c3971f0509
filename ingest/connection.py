"""An HTTP/1.1 connection of the ingress: hands over its calls one after the other, and writes their responses.

It is a protocol of its own under uvicorn's server. uvicorn's own protocol makes a task, an event and a timer for each
request, and a dictionary of all that an application might want to know. It also limits neither the size of a request's
head nor the time until it is complete, so unauthenticated callers could occupy memory and sockets. Here such
connections are closed.

A proxy in front of the ingress that limits the size and time of request heads, buffers bodies and drops the ``Upgrade``
header makes the limits superfluous, except the number of connections. Most do not drop ``Upgrade`` by default.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from typing import Any, ClassVar, Final

from uvicorn.server import ServerState

from paynotify.ingest.app import Ingress
from paynotify.ingest.call import CallResponse, WebhookCall, call_response
from paynotify.ingest.forwarding import Forwarding
from paynotify.ingest.lingering_connection import LingeringConnection
from paynotify.ingest.request_parser import (
    BodyTooLongError,
    HeadTooLargeError,
    RequestHead,
    RequestParser,
    UnreadableRequestError,
)
from paynotify.schemas.ingress import HEAD_TOO_LARGE, RESPONSES, RequestOutcome
from paynotify.service import asgi_server
from paynotify.service.listener import caller_address
from paynotify.service.logs import event
from paynotify.service.private_names import PrivateName, require

logger = logging.getLogger("paynotify.ingest")

#: What may be read of one request beside its body: one with chunks of a byte needs several bytes for each.
_FRAMING_BYTES: Final = 4 * 1024 * 1024
#: How long connections without a call stay open once the server stops. A proxy that has not noticed yet may send a
#: call at this moment; it would get a reset, and its caller a 502.
_LAST_CALLS_SECONDS: Final = 1.0

_HEAD_TOO_LARGE: Final = HEAD_TOO_LARGE.head()
_TOO_SLOW: Final = RESPONSES[RequestOutcome.TOO_SLOW].head()
_NOT_HTTP: Final = call_response(
    RESPONSES[RequestOutcome.GONE],
    ("content-type", "text/plain; charset=utf-8"),
    body=b"Invalid HTTP request received.",
).closing
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

#: What `BoundedConnection` and `ingest.http_server.Server` use of uvicorn.
PRIVATE_NAMES: Final = (
    *asgi_server.PRIVATE_NAMES,
    PrivateName("uvicorn", "uvicorn.server", "Server.startup", ("http_protocol_class", "server_state", "servers")),
    PrivateName("uvicorn", "uvicorn.server", "Server.shutdown", ("connections", "servers", "shutdown")),
)


class BoundedConnection(asyncio.Protocol):
    """A connection with limits, which `bounded` sets. ``address`` is the caller's, where a proxy has told it already.

    ``_call`` is the call that is being handled, ``_reading`` the one whose body is being read. They differ if a call
    was answered before its body was complete, or if the client sends the next one without waiting for the response.
    That one waits in ``_pipeline``, and no more is read until its turn.

    A response to a call whose body is not complete is kept as ``_early`` until all that was read is parsed. If the rest
    is still owed then, the connection closes: the client may leave the body out, and its next call would be taken for
    the body.
    """

    ingress: ClassVar[Ingress]
    forwarding: ClassVar[Forwarding | None] = None
    max_head_bytes: ClassVar[int] = 16 * 1024
    max_message_bytes: ClassVar[int] = _FRAMING_BYTES
    read_seconds: ClassVar[float] = 10.0
    keep_alive_seconds: ClassVar[float] = 75.0
    max_connections: ClassVar[int] = 10_000

    def __init__(self, server_state: ServerState, address: str = "", **_: Any) -> None:
        self._connections: set[Any] = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(self, self.max_head_bytes, self.max_message_bytes)
        self._transport: Any = None
        self._address = address
        self._forwarding: Forwarding | None = None
        self._call: WebhookCall | None = None
        self._reading: WebhookCall | None = None
        self._pipeline: deque[WebhookCall] = deque()
        self._write_paused = False
        self._read_paused = False
        self._early: CallResponse | None = None
        self._last_words: bytes | None = None
        self._is_stopping = False
        self._until_seconds = math.inf
        self.is_lost = False

    # --- the transport's events ---------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._address = self._address or caller_address(transport.get_extra_info("peername"))
        if self.forwarding is not None and self._address in self.forwarding.trusted:
            self._forwarding = self.forwarding
        self._connections.add(self)
        self._until_seconds = self._loop.time() + self.keep_alive_seconds  # proxies open some in advance
        if len(self._connections) > self.max_connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """A call that waits for the brokers is counted when they respond; until then the server waits for it."""
        self.is_lost = True
        self._parser.close()
        self._pipeline.clear()
        self._reading = None
        if self._call is None:
            self._connections.discard(self)
        elif not self._call.is_complete:
            self.ingress.abandon(self._call, RequestOutcome.GONE)

    def data_received(self, data: bytes) -> None:
        if self._last_words is not None:
            return
        if not self._parser.has_begun and self._call is None:
            self._until_seconds = self._loop.time() + self.read_seconds
        try:
            self._parser.feed(data)
        except HeadTooLargeError:
            self._end(_HEAD_TOO_LARGE)
        except BodyTooLongError:
            self._end(b"")
        except UnreadableRequestError:
            self._end(_NOT_HTTP)
        except Exception as error:  # noqa: BLE001 - uvloop would log a traceback and leave the connection as it is
            event(logger, "call_failed", level=logging.ERROR, error=repr(error))
            self._end(b"")
        self._send_early()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._pace()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._pace()

    # --- the parser's events ------------------------------------------------------------------------------------

    def on_head(self, head: RequestHead) -> None:
        if self.is_lost or self._transport.is_closing():
            return  # one of the two has said that nothing follows
        forwarding = self._forwarding
        address = self._address if forwarding is None else forwarding.caller(self._address, head.headers)
        call = self._reading = WebhookCall(self, head, address)
        if self._call is None and not self._pipeline:
            self._begin(call)
        else:
            self._pipeline.append(call)
            self._pace()

    def on_body(self, part: bytes) -> None:
        call = self._reading
        if call is None or call.is_answered:
            return
        if call is self._call:
            self.ingress.read(call, part)
        else:
            call.add(part)  # from one read at most

    def on_end(self) -> None:
        call, self._reading = self._reading, None
        if call is None:
            return
        call.is_complete = True
        if call is self._call:
            self._until_seconds = math.inf  # the publisher has its own timeout
            self.ingress.end(call)
        elif self._early is not None:
            response, self._early = self._early, None
            self.respond(call, response)

    # --- calls and responses ------------------------------------------------------------------------------------

    def _begin(self, call: WebhookCall) -> None:
        self._call = call
        self._until_seconds = self._loop.time() + self.read_seconds
        self.ingress.begin(call)
        if not (call.is_answered or call.is_complete) and call.fields.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(_CONTINUE)

    def respond(self, call: WebhookCall, response: CallResponse) -> None:
        """Write the response and go on to the next call."""
        self._call = None
        if self.is_lost:
            self._connections.discard(self)
            return
        if not call.is_complete:
            self._early = response
            return
        if response.closes or self._is_stopping:
            self._linger(response.closing)
            return
        if not self._transport.is_closing():
            self._transport.write(response.open if call.keeps_alive else response.closing)
            if not call.keeps_alive:
                self._transport.close()
        if self._pipeline:
            self._loop.call_soon(self._next)  # not at once: thousands of calls may be answered at once
        elif self._last_words is not None:
            self._end(self._last_words)
        else:
            self._await_next()

    def _await_next(self) -> None:
        seconds = self.read_seconds if self._parser.has_begun else self.keep_alive_seconds
        self._until_seconds = self._loop.time() + seconds

    def _next(self) -> None:
        """Handle the pipelined call, as far as it was read."""
        if self.is_lost or self._transport.is_closing():
            self._pipeline.clear()
            return
        call = self._pipeline.popleft()
        self._pace()
        body, call.body = call.body, b""
        self._begin(call)
        if body and not call.is_answered:
            self.ingress.read(call, bytes(body))
        if call.is_complete and not call.is_answered:
            self._until_seconds = math.inf
            self.ingress.end(call)
        self._send_early()

    def _pace(self) -> None:
        """Read on only while no call waits for its turn and the client reads the responses."""
        pause = bool(self._pipeline) or self._write_paused
        if pause != self._read_paused and not self._transport.is_closing():
            self._read_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # --- ends ---------------------------------------------------------------------------------------------------

    @property
    def message_bytes(self) -> int:
        """What was read of a request that is not complete."""
        return self._parser.message_bytes

    def shutdown(self) -> None:
        """The server stops: the next response is the last one, and without a call the connection closes soon."""
        self._is_stopping = True
        self._loop.call_later(_LAST_CALLS_SECONDS, self._leave)

    def _leave(self) -> None:
        if not (self.is_lost or self._pipeline or self._call is not None or self._parser.has_begun):
            self._transport.close()

    def end_if_slow(self, now_seconds: float) -> None:
        """Close a connection whose next request, or the rest of a refused one, takes too long."""
        if now_seconds <= self._until_seconds:
            return
        if self._call is None:
            self._end(_TOO_SLOW if self._parser.has_begun else b"")
        elif not self._call.is_complete:
            self.ingress.abandon(self._call, RequestOutcome.TOO_SLOW)
            self._send_early()

    def _end(self, response: bytes) -> None:
        """Send ``response`` and close, after the responses to the calls that are complete."""
        if self._pipeline and not self._pipeline[-1].is_complete:
            self._pipeline.pop()
        if self._early is not None:
            return  # that is the last response
        if self._pipeline or (self._call is not None and self._call.is_complete):
            self._last_words = response
        else:
            self._linger(response)

    def _send_early(self) -> None:
        """End with the response that was kept, if there is one: the rest of its call's body is owed still."""
        if self._early is not None:
            self._linger(self._early.closing)

    def _linger(self, response: bytes) -> None:
        """Send the last response. The client must be able to read it, whatever it still sends."""
        self._early = None
        self._pipeline.clear()
        if self.is_lost or self._transport.is_closing():
            return
        if not response:
            self._transport.close()
            return
        self._pace()
        self.is_lost = True
        self._transport.write(response)
        LingeringConnection(self._transport, self._connections, self._loop.time() + self.read_seconds)
        self._loop.call_soon(self.connection_lost, None)  # not at once: the parser may be at work


def bounded(
    ingress: Ingress,
    *,
    max_head_bytes: int,
    max_body_bytes: int,
    read_seconds: float,
    keep_alive_seconds: float,
    max_connections: int,
    forwarding: Forwarding | None = None,
) -> type[BoundedConnection]:
    """The protocol class with these limits; uvicorn creates the instances.

    Raises:
        UnsupportedLibraryError: the installed uvicorn has another way to do so.
    """
    require(PRIVATE_NAMES)
    limits = {
        "ingress": ingress,
        "forwarding": forwarding,
        "max_head_bytes": max_head_bytes,
        # a chunked body may need several bytes on the wire for each of its own
        "max_message_bytes": _FRAMING_BYTES + 8 * (max_body_bytes + max_head_bytes),
        "read_seconds": read_seconds,
        "keep_alive_seconds": keep_alive_seconds,
        "max_connections": max_connections,
    }
    return type("BoundedConnection", (BoundedConnection,), limits)
