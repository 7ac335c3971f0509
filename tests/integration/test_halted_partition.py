"""A worker whose stage raises on every record, on a real Kafka: its partitions halt, and a good one goes on there."""

from __future__ import annotations

import json
import urllib.request
from typing import Final

import pytest

from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from tests.fakes.observations import LIFE, lives
from tests.integration.conftest import DEADLINE_SECONDS, Installation
from tests.topics_reader import header, lag, payments, send

pytestmark = pytest.mark.kafka

PAYMENTS: Final = 40
LIMIT: Final = 5
SESSION_SECONDS: Final = 2


def management_port(worker: Child) -> int:
    return int(worker.wait_for_event("management_listening", within_seconds=DEADLINE_SECONDS)["port"])


def halted(port: int) -> dict[str, float]:
    """The gauge of each partition of the observations."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    found = [line for line in lines if line.startswith("paynotify_partition_halted{")]
    return {line.partition('partition="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in found}


def test_stage_that_raises_on_every_record_halts_and_a_good_one_goes_on(bare_installation: Installation) -> None:
    installation = bare_installation
    installation.configure(
        topics={"partitions": 2, "replication_factor": 1},
        worker={
            "session_timeout_seconds": SESSION_SECONDS,
            "stall_seconds": 4,
            "provider_timeout_seconds": 1,
            "dead_letter_limit": {"consecutive_records": LIMIT},
        },
    )
    installation.apply_topics()
    observations = installation.topic("observations")
    everything = list(lives(PAYMENTS))
    send(installation.kafka, observations, everything)
    bad = installation.worker("resolve", rule="raise-always", ready=False)
    port = management_port(bad)
    installation.until(lambda: probe(port, "/readyz")[1].count("halted") == 2, bad)
    status, said = probe(port, "/readyz")
    assert status == 503
    for partition in (0, 1):
        assert f"resolve halted at {observations}/{partition}: the last {LIMIT} records in a row" in said
    installation.until(lambda: halted(port) == {"0": 1.0, "1": 1.0}, bad)

    # it stands still on purpose: longer than a stall may take, and no restart by the liveness probe
    event = bad.wait_for_event("partition_halted", within_seconds=DEADLINE_SECONDS)
    assert event["replay"] == "paynotify replay dead --reason internal_error --yes"
    group = f"{installation.prefix}paynotify.resolve"
    installation.until(lambda: lag(installation.kafka, group, observations) == len(everything) - 2 * LIMIT, bad)
    assert probe(port, "/livez") == (200, "ok\n")
    dead = installation.records("lookups.dead")
    assert len(dead) == 2 * LIMIT, "nothing beyond the limit is dead-lettered"
    assert {header(record, "reason") for record in dead} == {"internal_error"}
    assert installation.count("payments.status") == 0
    assert bad.stop() == 0

    good = installation.worker("resolve")
    port = management_port(good)
    installation.until_read("resolve", "observations", child=good)
    assert probe(port, "/readyz") == (200, "ok\n")
    assert halted(port) == {"0": 0.0, "1": 0.0}
    assert len(installation.records("lookups.dead")) == 2 * LIMIT

    # what was dead-lettered before is one command away
    code, said = installation.finished("replay", "dead", "--reason", "internal_error", "--yes", "--json")
    assert (code, json.loads(said.splitlines()[-1])["sent"]) == (0, 2 * LIMIT), said
    installation.until_read("resolve", "observations", child=good)
    assert good.stop() == 0
    found = payments(installation.records("payments.status"))
    assert len(found) == PAYMENTS
    for events in found.values():
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1)), "nothing is doubled"
        assert events[-1]["status"] == LIFE[-1][2], "nothing is lost"
