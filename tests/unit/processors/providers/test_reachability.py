"""The reachability check says why a provider's host cannot be reached, and reads its clock."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

import pytest

from paynotify.processors.providers.reachability import clock_of
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import ProviderUnavailableError

WORKER: Final = WorkerSettings()


class _Provider(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response_only(404)
        self.send_header("Date", "Mon, 01 Jun 2026 12:00:00 GMT")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Keep the tests' output clean."""


@contextmanager
def provider() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/some/path?query=1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_clock_is_read_whatever_the_status() -> None:
    with provider() as url:
        assert clock_of(url, WORKER) == datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_clock_of_a_closed_port_is_an_unreachable_provider() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ProviderUnavailableError, match=r"127\.0\.0\.1 cannot be reached \(ClientConnectorError\)"):
        clock_of(f"http://127.0.0.1:{port}/", WORKER)


def test_clock_of_an_unknown_name_says_that_it_cannot_be_resolved() -> None:
    with pytest.raises(ProviderUnavailableError, match=r"the name provider\.invalid cannot be resolved"):
        clock_of("https://provider.invalid/", WORKER)
