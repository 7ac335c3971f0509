"""Another cluster behind the same bootstrap name. (The same one at other addresses: test_broker_tokens.)"""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.sandbox.broker import LocalBroker, start_together
from paynotify.sandbox.processes import Child, stop_all
from paynotify.schemas import topics
from tests import topics_reader
from tests.acceptance.knocking import soon
from tests.fakes.configurations import document, merchants, write
from tests.fault.proxy import Proxy
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

ROOT: Final = Path(__file__).parents[2]
DEADLINE_SECONDS: Final = 60.0
PATH: Final = "/notifications/trustpayments/shop-uk"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as one:
        yield one


class Replaced:
    """Two clusters with the same topics, of which the bootstrap name leads to one; an ingress and a worker."""

    def __init__(self, proxy: Proxy, brokers: list[LocalBroker], directory: Path) -> None:
        self.present = brokers[0]
        content: dict[str, Any] = document(proxy.named(lambda: [self.present.bootstrap]), "", directory)
        content["merchants"] = [one for one in merchants() if one["id"] == "shop-uk"]
        self._file = write(directory, content)
        for self.present in reversed(brokers):  # the first one last, so it is the present one
            subprocess.run(self._command("topics", "apply"), check=True, capture_output=True, cwd=ROOT)
        options = ("--management", "127.0.0.1:0")
        self.ingest = Child(
            "ingest", self._command("ingest", "--listen", "127.0.0.1:0", *options), directory / "ingest.log"
        )
        self.worker = Child("worker", self._command("worker", *options), directory / "worker.log")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(self._file)]

    def notify(self, number: int) -> int:
        """The status of one webhook call."""
        port = int(self.ingest.wait_for_event("listening")["port"])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)) as connection:
            body = f"transactionreference=57-9-{number}&errorcode=0"
            connection.request("POST", PATH, body, {"Content-Type": "application/x-www-form-urlencoded"})
            return connection.getresponse().status

    def soon_accepted(self, number: int) -> None:
        soon(lambda: self.notify(number) == 200, DEADLINE_SECONDS, f"never accepted: {self.ingest.end()}")


@pytest.mark.skipif(not LONG, reason="takes a minute: `make brokers`")
def test_another_cluster_gets_another_producer_and_ends_the_worker(proxy: Proxy, tmp_path: Path) -> None:
    """A producer that went on could have its records taken for repeats: accepted, and nowhere."""
    brokers = [LocalBroker(), LocalBroker(cluster_id="anotheranotheranother0")]
    for broker in brokers:
        start_together([broker])
    children: list[Child] = []
    try:
        replaced = Replaced(proxy, brokers, tmp_path)
        children = [replaced.ingest, replaced.worker]
        replaced.soon_accepted(1)
        replaced.worker.wait_for_event("worker_started", within_seconds=DEADLINE_SECONDS)
        brokers[0].kill()
        replaced.present = brokers[1]
        assert replaced.worker.wait(DEADLINE_SECONDS), replaced.worker.end()
        assert replaced.worker.exit_code == 1
        assert any(line["event"] == "cluster_replaced" for line in replaced.worker.log_lines())
        replaced.soon_accepted(2)
        told = replaced.ingest.wait_for_event("producer_recreated")
        assert told["reason"] == "another cluster"
        (record,) = topics_reader.whole(brokers[1].bootstrap, topics.notifications("trustpayments"))
        assert record.value.startswith(b"transactionreference=57-9-2&")
    finally:
        stop_all(children)
        for broker in brokers:
            broker.stop()
