"""Processes that start before their brokers: they say what they wait for, and begin by themselves when it is there."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child, stop_all
from paynotify.schemas import topics
from tests import topics_reader
from tests.acceptance.knocking import soon
from tests.fakes.configurations import document, write

ROOT: Final = Path(__file__).parents[2]
DEADLINE_SECONDS: Final = 60.0
NOBODY: Final = "127.0.0.1:1"
PATH: Final = "/notifications/trustpayments/shop-uk"
BODY: Final = b"transactionreference=57-9-1&errorcode=0"


class Started:
    """An ingress and a worker on one configuration."""

    def __init__(self, kafka: str, directory: Path) -> None:
        self.file = write(directory, document(kafka, "", directory))
        self.ingest = self._child("ingest", directory, "--listen", "127.0.0.1:0")
        self.worker = self._child("worker", directory)
        self.children = (self.ingest, self.worker)

    def _child(self, role: str, directory: Path, *options: str) -> Child:
        command = [sys.executable, "-m", "paynotify.ops.main", role, "--config", str(self.file), *options]
        return Child(role, [*command, "--management", "127.0.0.1:0"], directory / f"{role}.log", directory=ROOT)

    def answer(self, child: Child, page: str) -> tuple[int, str]:
        return probe(int(child.wait_for_event("management_listening")["port"]), page)

    def soon_unready(self, child: Child, why: str) -> None:
        """It is not ready and says why, and nobody may think that a restart would help."""

        def unready() -> bool:
            status, said = self.answer(child, "/readyz")
            return status == 503 and why in said

        soon(unready, DEADLINE_SECONDS, f"{child.name} never said {why!r}: {child.end()}")
        assert self.answer(child, "/livez")[0] == 200
        assert self.answer(child, "/startz")[0] == 200

    def soon_ready(self, child: Child) -> None:
        soon(lambda: self.answer(child, "/readyz")[0] == 200, DEADLINE_SECONDS, f"not ready: {child.end()}")

    def notify(self) -> tuple[int, str | None]:
        """Status and ``Retry-After`` of one webhook call."""
        port = int(self.ingest.wait_for_event("listening")["port"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
        try:
            connection.request("POST", PATH, BODY, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("Retry-After")
        finally:
            connection.close()


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """One that has its address and does not run yet."""
    one = LocalBroker()
    yield one
    one.stop()


@pytest.mark.kafka
def test_processes_wait_for_brokers_then_for_topics_and_begin_without_a_restart(
    broker: LocalBroker, tmp_path: Path
) -> None:
    voters = broker.prepare()
    started = Started(broker.bootstrap, tmp_path)
    try:
        for child in started.children:
            started.soon_unready(child, "No Kafka broker")
        assert started.notify() == (503, "5")
        broker.format(voters)
        broker.launch()
        broker.wait_until_ready()
        for child in started.children:
            started.soon_unready(child, "paynotify topics apply")
        assert started.notify() == (503, "5")
        command = [sys.executable, "-m", "paynotify.ops.main", "topics", "apply", "--config", str(started.file)]
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_SECONDS, cwd=ROOT)
        started.soon_ready(started.ingest)
        assert started.notify() == (200, None)
        (record,) = topics_reader.whole(broker.bootstrap, topics.notifications("trustpayments"))
        assert record.value == BODY
        started.soon_ready(started.worker)
    finally:
        codes = stop_all(started.children)
    assert codes == {"ingest": 0, "worker": 0}


def test_process_waiting_for_brokers_stops_on_a_signal(tmp_path: Path) -> None:
    started = Started(NOBODY, tmp_path)
    try:
        for child in started.children:
            started.soon_unready(child, NOBODY)
            child.signal(signal.SIGTERM)
            assert child.wait(DEADLINE_SECONDS), child.end()
            assert child.exit_code == 0, child.end()
    finally:
        stop_all(started.children)
    for child in started.children:
        assert "Traceback" not in child.log_path.read_text("utf-8")
        told = [line for line in child.log_lines() if line["event"] == "brokers_unavailable"]
        assert len(told) == 1
