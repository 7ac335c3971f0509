"""A subscriber of outbound webhooks that answers as it is told to, and judges every call with the library."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

SECRET: Final = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMh"
OTHER_SECRET: Final = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzLCA0MA=="


@dataclass(frozen=True)
class Reply:
    """What to answer: a status, 0 to break the connection; after so many seconds; with these headers and body."""

    status: int = 204
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class ReceivedCall:
    """One call, at a monotonic time, and the status it was answered with."""

    at: float
    event_id: str
    body: bytes
    status: int
    problem: str
    headers: Mapping[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """The event within the body."""
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300 and not self.problem


class FakeSubscriber:
    """A real HTTP server on a port of its own, which it keeps while it is down."""

    def __init__(
        self,
        reply: Callable[[dict[str, Any], int], Reply] | None = None,
        secret: str = SECRET,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.calls: list[ReceivedCall] = []
        self.secret = secret
        self.reply = reply or (lambda event, number: Reply())
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._port = 0
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/hooks"

    def up(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_address[1]
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def accepted(self) -> list[ReceivedCall]:
        """The calls that were answered with success, each id once, in the order of the first."""
        found: dict[str, ReceivedCall] = {}
        for one in list(self.calls):
            if one.accepted:
                found.setdefault(one.event_id, one)
        return list(found.values())

    def judge(self, headers: Mapping[str, str], body: bytes) -> tuple[Reply, ReceivedCall]:
        """What to answer to a call."""
        event_id = headers.get("webhook-id", "")
        try:
            Webhook(self.secret).verify(body, dict(headers))
            problem = ""
        except WebhookVerificationError as error:
            problem = str(error)
        with self._lock:
            number = self._numbers[event_id] = self._numbers.get(event_id, 0) + 1
        reply = self.reply(json.loads(body)["data"], number)
        return reply, ReceivedCall(time.monotonic(), event_id, body, reply.status, problem, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for one in list(self._open):
            one.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break on purpose."""


def _handler(subscriber: FakeSubscriber) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply, call = subscriber.judge({name.lower(): value for name, value in self.headers.items()}, body)
            if reply.seconds:
                time.sleep(reply.seconds)
            subscriber.calls.append(call)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            return

    return Handler
