"""Values at rest on a real Kafka: what lies on the topics, what the tools read of it, rotation, and forgetting."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import load
from paynotify.schemas.records import Record
from paynotify.service.value_cipher import cipher_of
from tests import topics_reader

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 40.0
ROOT: Final = Path(__file__).parents[2]
OLD: Final = {"id": "old", "key": {"value": base64.b64encode(bytes(range(32))).decode()}}
NEW: Final = {"id": "new", "key": {"value": base64.b64encode(bytes(range(32, 64))).decode()}}
MERCHANTS: Final = {"trustpayments": ("shop-uk",), "nevogate": ("shop-hu",)}
CALLS: Final = topics.notifications("trustpayments")
RESPONSES: Final = topics.responses("trustpayments")
FORGED: Final = b"transactionreference=57-9-1&billingemail=joe%40shop.example&responsesitesecurity=" + b"0" * 64


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    settings = {"encryption": {"keys": [OLD]}}
    plan = Plan(kafka=kafka, consumers=False, configuration=settings, merchants=MERCHANTS, partitions=1)
    with Sandbox(plan) as running:
        yield running


def run(sandbox: Sandbox, *words: str, file: Path | None = None) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(file or sandbox.config_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def records(sandbox: Sandbox, *names: str) -> list[topics_reader.Record]:
    return topics_reader.whole(sandbox.bootstrap, *(sandbox.topic(name) for name in names))


def until(condition: Any) -> Any:
    found = wait_for(condition, within_seconds=DEADLINE_SECONDS, every=0.2)
    assert found
    return found


def paid(sandbox: Sandbox, provider: str, order: str) -> str:
    key = f"{MERCHANTS[provider][0]}/{sandbox.providers[provider].pay(order_id=order, amount=1250)}"
    until(lambda: topics_reader.payments(records(sandbox, topics.STATUS)).get(key))
    return key


def keys_used(sandbox: Sandbox, *names: str) -> set[str]:
    return {dict(one.headers).get("encryption-key", b"").decode() for one in records(sandbox, *names)}


def kinds(sandbox: Sandbox, key: str) -> set[str]:
    code, said, problems = run(sandbox, "trace", key, "--json")
    assert code == 0, problems
    return {one["kind"] for story in json.loads(said)["payments"] for one in story["entries"]}


def write_keys(sandbox: Sandbox, file: Path, *keys: dict[str, Any]) -> Path:
    document = yaml.safe_load(sandbox.config_path.read_text())
    file.write_text(yaml.safe_dump({**document, "encryption": {"keys": list(keys)}}))
    return file


FLOW: Final = {"notification", "lookup", "answer", "observation", "status"}


def test_rejected_call_is_unreadable_at_rest_and_replayed_as_it_came(sandbox: Sandbox) -> None:
    request = urllib.request.Request(f"{sandbox.ingest_address}/notifications/trustpayments/shop-uk", FORGED)
    urllib.request.urlopen(request, timeout=10).close()
    until(lambda: records(sandbox, topics.REJECTED))
    assert run(sandbox, "replay", "rejected", "--yes", "--why", "test")[0] == 0
    until(lambda: len(records(sandbox, topics.REJECTED)) == 2)
    kept = records(sandbox, topics.REJECTED, CALLS)
    assert len(kept) == 4
    assert not any(b"joe" in one.value for one in kept)
    cipher = cipher_of(load(sandbox.config_path))
    for one in kept:
        stored = Record(one.topic, one.partition, one.offset, one.key, one.value, tuple(one.headers), 0.0)
        assert cipher.record(stored).value == FORGED


def test_payments_go_all_the_way_while_keys_are_rotated(sandbox: Sandbox, tmp_path: Path) -> None:
    first = paid(sandbox, "trustpayments", "ORD-first")
    assert keys_used(sandbox, CALLS, RESPONSES) == {"old"}
    assert not any(b"ORD-" in one.value or b"orderreference" in one.value for one in records(sandbox, CALLS, RESPONSES))
    assert kinds(sandbox, first) >= FLOW
    assert run(sandbox, "audit", "--since", "1h")[0] == 0

    write_keys(sandbox, sandbox.config_path, NEW, OLD)
    assert sandbox.ingest is not None
    sandbox.ingest.stop()
    sandbox.start_ingest()
    (worker,) = sandbox.workers
    worker.stop()
    sandbox.start_worker(0)
    later = paid(sandbox, "trustpayments", "ORD-later")
    assert keys_used(sandbox, CALLS, RESPONSES) == {"old", "new"}
    assert kinds(sandbox, later) >= FLOW
    code, _, problem = run(sandbox, "trace", first, file=write_keys(sandbox, tmp_path / "without-old.yaml", NEW))
    assert code == 2
    assert "Add the key with the id 'old' to encryption.keys" in problem


def latest_values(sandbox: Sandbox, key: str) -> list[bytes | None]:
    """What `payments.latest` has of a payment; None is a tombstone."""
    return [one.value for one in records(sandbox, topics.LATEST) if one.key == key.encode()]


def test_forgotten_payment_leaves_no_copy_and_its_results(sandbox: Sandbox) -> None:
    key = paid(sandbox, "nevogate", "ORD-forget")
    raw = topics.notifications("nevogate"), topics.responses("nevogate")
    reports: list[dict[str, Any]] = []

    def done() -> bool:
        code, said, problem = run(sandbox, "forget", key, "--yes", "--why", "request 4711", "--json")
        assert said, problem
        reports.append(json.loads(said))
        return code == 0

    until(done)  # once the stages have processed all of it
    report = reports[-1]
    assert {one["topic"] for one in report["copies"]} == {sandbox.topic(name) for name in raw}
    assert all(one["deleted"] for one in report["partitions"])
    assert records(sandbox, *raw) == []
    # a call that comes before the stages have processed all still removes the newest event, so a later one finds none
    assert any(one["latest"] is not None and one["latest"]["removed"] for one in reports)
    assert "status" in kinds(sandbox, key)
    until(lambda: latest_values(sandbox, key)[-1:] == [None])
    code, said, _ = run(sandbox, "forget", key, "--json")
    assert (code, json.loads(said)["copies"], json.loads(said)["latest"]) == (1, [], None)
    assert "request 4711" in run(sandbox, "history", "--command", "forget", "--json")[1]
