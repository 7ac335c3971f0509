"""The worker on a real Kafka: what does not stop it, and what makes it refuse to start."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaAdminClient

from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from paynotify.schemas import messages
from paynotify.schemas.messages import Lookup
from paynotify.schemas.times import rfc3339
from paynotify.schemas.topics import all_topics
from tests.fakes.configurations import SESSION_SECONDS
from tests.fakes.observations import LIFE, lives, notification_headers, observation
from tests.integration.conftest import DEADLINE_SECONDS, Installation
from tests.topics_reader import Records, header, payments, send

pytestmark = pytest.mark.kafka


def lookups(number: int, merchant: str, **headers: str) -> Records:
    """Waiting lookups of a Nevogate merchant."""
    for index in range(number):
        lookup = Lookup(
            provider="nevogate",
            merchant=merchant,
            operation="result",
            reference=f"{index:032x}",
            notification_id=f"n{index}",
            received_at=rfc3339(),
        )
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        yield f"{merchant}/{index}".encode(), messages.encode(lookup), {"ce_id": f"{merchant}-{index}", **more}


def management_port(worker: Child) -> int:
    return int(worker.wait_for_event("management_listening", within_seconds=DEADLINE_SECONDS)["port"])


def test_lookups_that_wait_for_an_hour_delay_no_others(installation: Installation) -> None:
    due = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    waiting = lookups(6000, "shop-hu", not_before=due, attempts="5")
    send(installation.kafka, installation.topic("lookups.nevogate.retry.5"), waiting)
    worker = installation.worker("fetch")
    send(installation.kafka, installation.topic("lookups.nevogate"), lookups(1500, "gone"))
    installation.until(lambda: installation.count("lookups.dead") == 1500, worker)
    assert installation.count("lookups.nevogate") == 1500, "none of those that wait has come back"
    assert worker.stop() == 0


def test_lookup_comes_back_when_it_is_due(installation: Installation) -> None:
    due = rfc3339(datetime.now(UTC) + timedelta(seconds=1))
    topic = installation.topic("lookups.nevogate.retry.1")
    send(installation.kafka, topic, lookups(3, "gone", not_before=due, attempts="1"))
    worker = installation.worker("fetch")
    installation.until(lambda: installation.count("lookups.dead") == 3, worker)
    assert worker.stop() == 0
    for record in installation.records("lookups.dead"):
        assert header(record, "reason") == "unknown_merchant"
        assert header(record, "attempts") == "2"
        assert record.timestamp / 1000 >= datetime.fromisoformat(due).timestamp()


def test_unexpected_exceptions_of_single_records_stop_no_partition(bare_installation: Installation) -> None:
    installation = bare_installation
    installation.configure(topics={"partitions": 1, "replication_factor": 1})
    installation.apply_topics()
    # a state the stage can't read makes its work raise, whatever the records say
    poisoned = b"shop-uk/poisoned"
    send(installation.kafka, installation.topic("paynotify.resolve-state-changelog"), [(poisoned, b"no state", {})] * 9)
    bad = messages.encode(observation("poisoned"))
    around = list(lives(20))
    records = [*around[:50], *((poisoned, bad, {"ce_id": f"bad-{n}"}) for n in range(3)), *around[50:]]
    send(installation.kafka, installation.topic("observations"), records)
    worker = installation.worker("resolve")
    installation.until_read("resolve", "observations", child=worker)
    assert worker.stop() == 0
    assert {len(events) for events in payments(installation.records("payments.status")).values()} == {len(LIFE)}
    dead = installation.records("lookups.dead")
    assert [header(record, "reason") for record in dead] == ["internal_error"] * 3
    assert {record.value for record in dead} == {bad}
    log = worker.log_path.read_text("utf-8")
    assert "record_dead_lettered" in log
    assert "no state" not in log


def test_largest_notification_can_be_rejected(installation: Installation) -> None:
    headers = notification_headers("omnikassa", "shop-nl", "n-1")
    large, small = [(b"shop-nl", b"x" * size, {**headers, "ce_id": f"n-{size}"}) for size in (1_000_000, 1)]
    send(installation.kafka, installation.topic("notifications.omnikassa"), [large, small])
    worker = installation.worker("verify")
    installation.until(lambda: installation.count("notifications.rejected") == 2, worker)
    assert worker.stop() == 0


def test_stalled_partition_makes_the_worker_unhealthy_and_a_waiting_one_does_not(
    installation: Installation,
) -> None:
    worker = {"session_timeout_seconds": SESSION_SECONDS, "stall_seconds": 4, "provider_timeout_seconds": 1}
    installation.configure(worker=worker)
    due = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    waiting = lookups(10, "shop-hu", not_before=due, attempts="5")
    send(installation.kafka, installation.topic("lookups.nevogate.retry.5"), waiting)
    patient = installation.worker("fetch")
    stuck = installation.worker("resolve", state="other")
    # without its changelog no state can be written: alive, assigned, and no batch ever ends
    client = KafkaAdminClient(bootstrap_servers=installation.kafka)
    client.delete_topics([installation.topic("paynotify.resolve-state-changelog")])
    client.close()
    send(installation.kafka, installation.topic("observations"), lives(3))
    port = management_port(stuck)
    installation.until(lambda: "resolve stalled at" in probe(port, "/livez")[1], stuck)
    assert probe(port, "/livez")[0] == 503
    assert probe(management_port(patient), "/livez") == (200, "ok\n")
    assert patient.stop() == 0


def test_two_workers_come_and_go_under_load(installation: Installation) -> None:
    count = 1200
    everything = list(lives(count))
    fed = threading.Event()

    def feed() -> None:
        for start in range(0, len(everything), 200):
            send(installation.kafka, installation.topic("observations"), everything[start : start + 200])
        fed.set()

    thread = threading.Thread(target=feed)
    first = installation.worker("resolve", state="one")
    thread.start()
    try:
        second = installation.worker("resolve", state="two")
        installation.until(lambda: installation.count("payments.status") > count, second)
        first.kill()
        third = installation.worker("resolve", state="three")
        installation.until(fed.is_set, third)
    finally:
        thread.join(DEADLINE_SECONDS)
    installation.until_read("resolve", "observations", child=third)
    assert second.stop() == 0
    assert third.stop() == 0
    found = payments(installation.records("payments.status"))
    assert len(found) == count
    for key, events in found.items():
        assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5], key


def test_other_partitions_than_configured_are_one_clear_paragraph(installation: Installation) -> None:
    installation.configure(topics={"partitions": 5, "replication_factor": 1})
    code, said = installation.finished("worker", "--management", "127.0.0.1:0")
    assert code == 2
    assert "partitions is 3, wanted 5" in said
    assert "Traceback" not in said


def test_missing_topics_are_one_clear_paragraph(bare_installation: Installation) -> None:
    worker = bare_installation.run("worker", "--management", "127.0.0.1:0")
    problem = worker.wait_for_event("brokers_unavailable")["problem"]
    assert f"{len(all_topics())} topics are missing" in problem
    assert "paynotify topics apply" in problem
    assert worker.stop() == 0
    assert "Traceback" not in worker.log_path.read_text("utf-8")
