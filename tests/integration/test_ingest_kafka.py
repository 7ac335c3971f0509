"""The ingress as a process of its own, against a real Kafka."""

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import NewTopic

from paynotify.schemas.traceparent import valid_traceparent
from tests.bench.ingest_bench import load

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30
PARTITIONS = 4
CONFIGURATION = """
sandbox: true
kafka: {{bootstrap_servers: "{kafka}", topic_prefix: "{prefix}"}}
topics: {{partitions: 4, replication_factor: 1}}
ingest: {{rate_per_second: 100000, burst: 100000}}
merchants:
  - {{id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{{value: k}}]}}
  - {{id: shop-uk, provider: trustpayments, site_reference: s, notification_passwords: [{{value: p}}],
     webservices_url: "https://uk.example", username: u, password: {{value: p}}}}
  - {{id: shop-hu, provider: nevogate, store_name: s, api_key: {{value: k}}, base_url: "https://hu.example"}}
"""


class Ingest:
    """``paynotify ingest`` on free ports."""

    def __init__(self, directory: Path, configuration: str) -> None:
        (directory / "paynotify.yaml").write_text(configuration)
        self._log = directory / "log"
        options = ["--config", str(directory / "paynotify.yaml")]
        options += ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "paynotify.ops.main", "ingest", *options], stderr=log, stdout=log, cwd=ROOT
            )

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def text(self) -> str:
        return self._log.read_text()

    def await_event(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = wait_for(
            lambda: next((one for one in self.events() if one["event"] == name), None), self.text
        )
        return found

    def port(self) -> int:
        """Where it accepts notifications, which it does now."""
        wait_for(lambda: call(self.management_port(), "GET", "/readyz")[0] == 200, self.text)
        return int(self.await_event("listening")["port"])

    def management_port(self) -> int:
        return int(self.await_event("management_listening")["port"])

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)


def wait_for(found: Callable[[], Any], otherwise: Callable[[], str]) -> Any:
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(otherwise())


def call(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def records(kafka: str, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=kafka, group_id=None, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    try:
        found = []
        for record in consumer:
            found.append(record)
            if len(found) == count:
                break
        return found
    finally:
        consumer.close()


@pytest.fixture(scope="module")
def prefix(kafka: str) -> Iterator[str]:
    chosen = f"test-{uuid.uuid4().hex[:8]}."
    client = KafkaAdminClient(bootstrap_servers=kafka)
    names = [f"{chosen}notifications.{provider}" for provider in ("omnikassa", "trustpayments", "nevogate")]
    client.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    yield chosen
    client.delete_topics(names)
    client.close()


@pytest.fixture
def ingest(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Ingest]:
    process = Ingest(tmp_path, CONFIGURATION.format(kafka=kafka, prefix=prefix))
    yield process
    process.end()


@pytest.mark.kafka
def test_notification_arrives_as_it_was_sent(kafka: str, prefix: str, ingest: Ingest) -> None:
    body = b'{"poiId": 1, "authentication": "t", "odd": "\xc3\xa9"}'
    sent = {
        "Content-Type": "application/json",
        "Authorization": "Basic c2VjcmV0",
        "User-Agent": "bank/1",
        "Cookie": "c",
    }
    assert call(ingest.port(), "POST", "/notifications/omnikassa/shop-nl?a=b", body, sent) == (200, "")
    (record,) = records(kafka, f"{prefix}notifications.omnikassa", 1)
    headers = dict(record.headers)
    assert (record.key, record.value) == (b"shop-nl", body)
    assert headers["ce_type"] == b"payment.notification.received.v1"
    assert headers["ce_source"] == b"/notifications/omnikassa/shop-nl"
    assert (headers["http-method"], headers["http-query"]) == (b"POST", b"a=b")
    assert (headers["content-type"], headers["user-agent"]) == (b"application/json", b"bank/1")
    assert valid_traceparent(headers["traceparent"].decode())
    assert not {"authorization", "cookie", "host"} & set(headers)


@pytest.mark.kafka
def test_return_url_has_an_empty_value_and_not_a_tombstone(kafka: str, prefix: str, ingest: Ingest) -> None:
    path = "/notifications/nevogate/shop-hu?TransactionId=" + "ab" * 16
    assert call(ingest.port(), "GET", path)[0] == 200
    (record,) = records(kafka, f"{prefix}notifications.nevogate", 1)
    assert (record.key, record.value) == (b"shop-hu/" + b"ab" * 16, b"")


@pytest.mark.kafka
async def test_success_under_load_is_one_record(kafka: str, prefix: str, ingest: Ingest) -> None:
    address = ("127.0.0.1", await asyncio.to_thread(ingest.port))
    body = b"transactionreference=57-9-1&errorcode=0"
    result = await load(address, "/notifications/trustpayments/shop-uk", 16, body, 0.5)
    assert result.refused == 0
    assert result.requests > 16
    topic = f"{prefix}notifications.trustpayments"
    found = await asyncio.to_thread(records, kafka, topic, result.requests)
    assert len(found) == len({dict(record.headers)["ce_id"] for record in found}) == result.requests
    assert {(record.key, record.value) for record in found} == {(b"shop-uk/57-9-1", body)}
    assert len({record.partition for record in found}) == 1


@pytest.mark.kafka
def test_management_port_tells_the_state(ingest: Ingest) -> None:
    port, management = ingest.port(), ingest.management_port()
    assert call(port, "POST", "/notifications/omnikassa/shop-nl")[0] == 200
    assert call(port, "POST", "/notifications/omnikassa/other-shop")[0] == 404
    assert call(management, "GET", "/livez")[0] == 200
    assert call(management, "GET", "/readyz")[0] == 200
    status, metrics = call(management, "GET", "/metrics")
    assert status == 200
    assert 'paynotify_ingest_requests_total{outcome="stored",provider="omnikassa"} 1.0' in metrics
    assert 'paynotify_ingest_requests_total{outcome="no_such_route",provider="omnikassa"} 1.0' in metrics
    assert "paynotify_ingest_in_flight 0.0" in metrics
    assert "process_cpu_seconds_total" in metrics
    assert "other-shop" not in metrics


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_answers_what_was_accepted_and_exits_cleanly(ingest: Ingest, number: signal.Signals) -> None:
    port = ingest.port()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    connection.putrequest("POST", "/notifications/omnikassa/shop-nl")
    connection.putheader("content-length", "4")
    connection.endheaders(b"ab")
    management = ingest.management_port()
    wait_for(lambda: "in_flight 1.0" in call(management, "GET", "/metrics")[1], ingest.text)
    ingest.process.send_signal(number)
    ingest.await_event("stopping")
    assert call(management, "GET", "/readyz") == (503, "stopping\n")
    connection.send(b"cd")
    assert connection.getresponse().status == 200
    connection.close()
    assert ingest.process.wait(DEADLINE_SECONDS) == 0
    assert "Traceback" not in ingest.text()


@pytest.mark.kafka
def test_missing_topics_are_one_clear_sentence(kafka: str, tmp_path: Path) -> None:
    process = Ingest(tmp_path, CONFIGURATION.format(kafka=kafka, prefix="absent."))
    try:
        problem = process.await_event("brokers_unavailable")["problem"]
        assert "absent.notifications.omnikassa" in problem
        assert "paynotify topics apply" in problem
        assert call(process.management_port(), "GET", "/readyz") == (503, problem + "\n")
        assert "Traceback" not in process.text()
    finally:
        process.end()


@pytest.mark.kafka
def test_answers_stay_correct_when_many_call_at_once(ingest: Ingest) -> None:
    port = ingest.port()
    paths = [
        "/notifications/omnikassa/shop-nl",
        "/notifications/nobody/shop-nl",
        "/notifications/trustpayments/shop-uk",
    ]
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: call(port, "POST", paths[number % 3], b"x=%d" % number)[0], range(90)))
    assert told == [200, 404, 200] * 30


@pytest.mark.kafka
def test_after_a_record_that_brokers_refuse_for_good_others_are_stored(kafka: str, tmp_path: Path) -> None:
    """kafka-python's idempotent producer never publishes again after it: each call would be answered 503."""
    prefix = f"test-{uuid.uuid4().hex[:8]}."
    client = KafkaAdminClient(bootstrap_servers=kafka)
    names = [f"{prefix}notifications.{provider}" for provider in ("omnikassa", "trustpayments", "nevogate")]
    client.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "2000"}) for name in names])
    ingest = Ingest(tmp_path, CONFIGURATION.format(kafka=kafka, prefix=prefix))
    path = "/notifications/trustpayments/shop-uk"
    try:
        port = ingest.port()
        assert call(port, "POST", path, b"first")[0] == 200
        assert call(port, "POST", path, b"x" * 10_000)[0] == 503
        wait_for(lambda: call(port, "POST", path, b"second")[0] == 200, ingest.text)
        ingest.await_event("producer_recreated")
        assert [one.value for one in records(kafka, names[1], 2)] == [b"first", b"second"]
        assert ingest.process.poll() is None
    finally:
        ingest.end()
        client.delete_topics(names)
        client.close()


@pytest.mark.kafka
async def test_group_that_is_too_long_for_the_topic_is_stored_in_parts(kafka: str, tmp_path: Path) -> None:
    prefix = f"test-{uuid.uuid4().hex[:8]}."
    client = KafkaAdminClient(bootstrap_servers=kafka)
    names = [f"{prefix}notifications.{provider}" for provider in ("omnikassa", "trustpayments", "nevogate")]
    client.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "2000"}) for name in names])
    ingest = Ingest(tmp_path, CONFIGURATION.format(kafka=kafka, prefix=prefix))
    try:
        address = ("127.0.0.1", await asyncio.to_thread(ingest.port))
        result = await load(address, "/notifications/trustpayments/shop-uk", 16, b"x" * 300, 0.5)
        assert result.refused == 0
        assert result.requests > 16
        found = await asyncio.to_thread(records, kafka, names[1], result.requests)
        assert len({dict(record.headers)["ce_id"] for record in found}) == result.requests
        assert "producer_recreated" not in ingest.text()
    finally:
        ingest.end()
        client.delete_topics(names)
        client.close()
