"""The management port tells what the process thinks of itself."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from paynotify.schemas.errors import ConfigurationError
from paynotify.service.management import Management


class Process:
    """A process whose judgements a test sets."""

    def __init__(self) -> None:
        self.live: str | None = None
        self.ready: str | None = "starting"
        registry = CollectorRegistry()
        Counter("paynotify_made", "made up", registry=registry).inc(3)
        self.started: str | None = "state is being recovered: resolve"
        self.management = Management(
            "worker", "127.0.0.1:0", registry, lambda: self.live, lambda: self.ready, lambda: self.started
        )

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.management.port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    made.management.start()
    yield made
    made.management.stop()


def test_probes_report_the_processes_own_state(process: Process) -> None:
    assert process.get("/livez") == (200, "ok\n")
    assert process.get("/readyz") == (503, "starting\n")
    process.live, process.ready = "the event loop has not run for 31 s", None
    assert process.get("/livez") == (503, "the event loop has not run for 31 s\n")
    assert process.get("/readyz?verbose") == (200, "ok\n")


def test_startup_probe_is_separate_from_liveness(process: Process) -> None:
    assert process.get("/startz") == (503, "state is being recovered: resolve\n")
    assert process.get("/livez") == (200, "ok\n")
    process.started = None
    assert process.get("/startz") == (200, "ok\n")


def test_metrics_are_prometheus_text(process: Process) -> None:
    status, text = process.get("/metrics")
    assert status == 200
    assert "paynotify_made_total 3.0" in text


def test_readiness_is_a_metric_too(process: Process) -> None:
    assert 'paynotify_ready{process="worker"} 0.0' in process.get("/metrics")[1]
    process.ready = None
    assert 'paynotify_ready{process="worker"} 1.0' in process.get("/metrics")[1]


def test_unknown_paths_are_404(process: Process) -> None:
    assert process.get("/")[0] == 404
    assert process.get("/livez", "POST")[0] == 501


def test_head_request_gets_the_same_response_without_body(process: Process) -> None:
    assert process.get("/livez", "HEAD") == (200, "")
    assert process.get("/readyz", "HEAD") == (503, "")
    assert process.get("/metrics", "HEAD") == (200, "")
    assert process.get("/", "HEAD") == (404, "")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_address_of_ipv6_can_be_listened_on() -> None:
    management = Management("ingest", "[::1]:0", CollectorRegistry(), lambda: None, lambda: None)
    management.start()
    try:
        with socket.create_connection(("::1", management.port), timeout=10) as connection:
            connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert b" 200 " in connection.recv(100)
    finally:
        management.stop()


def test_port_in_use_is_one_clear_paragraph(process: Process) -> None:
    address = f"127.0.0.1:{process.management.port}"
    with pytest.raises(ConfigurationError, match="--management"):
        Management("ingest", address, CollectorRegistry(), lambda: None, lambda: None)
