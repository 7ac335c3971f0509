"""The management port of each process: ``/startz``, ``/livez``, ``/readyz`` and ``/metrics``.

It runs in a thread of its own, so that a busy event loop does not fail the probes of a healthy process. The process
itself reports its liveness and readiness, and whether it is still starting, which may take long.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal

from prometheus_client import CollectorRegistry, exposition

from paynotify.schemas.errors import ConfigurationError
from paynotify.service.listener import bound_socket
from paynotify.service.logs import event
from paynotify.service.metrics import gauge

logger = logging.getLogger("paynotify.management")

#: A probe: None if all is well, else what is wrong in a few words.
Probe = Callable[[], str | None]

Process = Literal["ingest", "worker", "deliver"]

READY: Final = gauge("paynotify_ready", "1 while /readyz answers with 200, else 0", "process")

_SOCKET_SECONDS: Final = 5


def watch_readiness(process: Process, ready: Probe, registry: CollectorRegistry) -> None:
    """Export readiness as a metric: a process that waits for its brokers is up and scraped, but not usable."""
    READY.create(registry).labels(process).set_function(lambda: float(ready() is None))


class Management:
    """The server. ``port`` is the port it listens on (with port 0 in the address, a free one).

    With ``exemplars`` the metrics name traces, where the reader takes OpenMetrics.

    Raises:
        ConfigurationError: the address can't be used.
    """

    def __init__(
        self,
        process: Process,
        address: str,
        registry: CollectorRegistry,
        live: Probe,
        ready: Probe,
        started: Probe | None = None,
        *,
        exemplars: bool = False,
    ) -> None:
        watch_readiness(process, ready, registry)
        probes = {"/startz": started or live, "/livez": live, "/readyz": ready}
        try:
            self._server = _Server(bound_socket(address), _handler(registry, probes, exemplars=exemplars))
        except OSError as error:
            raise ConfigurationError(
                f"The management address {address} can't be used: {error.strerror}. "
                "Choose a free one with --management."
            ) from None
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="management", daemon=True)

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()
        event(logger, "management_listening", port=self.port)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, bound: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        """Take the socket over. The library's own way to bind asks the resolver for the host's name, which may hang."""
        super().__init__(bound.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.server_activate()


def _handler(
    registry: CollectorRegistry, probes: Mapping[str, Probe], *, exemplars: bool
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SOCKET_SECONDS
        server_version = "paynotify"
        sys_version = ""

        def do_GET(self) -> None:  # the name is http.server's
            path = self.path.partition("?")[0]
            if path == "/metrics":
                if exemplars:  # only OpenMetrics has them, and only whoever asks for it gets it
                    encoded, content_type = exposition.choose_encoder(self.headers.get("accept", ""))
                    self._respond(200, encoded(registry), content_type)
                else:
                    self._respond(200, exposition.generate_latest(registry), exposition.CONTENT_TYPE_LATEST)
            elif path in probes:
                problem = probes[path]()
                self._respond(200 if problem is None else 503, (problem or "ok").encode() + b"\n", "text/plain")
            else:
                self._respond(404, b"not found\n", "text/plain")

        def do_HEAD(self) -> None:
            """For load balancers that probe with HEAD."""
            self.do_GET()

        def _respond(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            """Replaces the library's page, which repeats what the caller sent."""
            self.close_connection = True
            self._respond(code, b"bad request\n", "text/plain")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's parameter name
            """Probes are not logged."""

    return Handler
