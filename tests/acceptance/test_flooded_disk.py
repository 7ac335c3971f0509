"""A flood of long calls: the disks stay bounded, the oldest records go first, and genuine payments are processed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.cluster import admin
from paynotify.service.partition_sizes import largest_partitions
from tests import topics_reader
from tests.acceptance.shopping import buy
from tests.bench.ingress import load

pytestmark = pytest.mark.kafka

MIB: Final = 1024 * 1024
BOUND_BYTES: Final = 3 * MIB
SEGMENT_BYTES: Final = MIB
FLOOD_BYTES: Final = 24 * MIB
BODY_BYTES: Final = 60_000
CALLS: Final = "notifications.trustpayments"
REJECTED: Final = "notifications.rejected"


def topics_section(bound_bytes: int) -> dict[str, Any]:
    bound = {"retention_bytes": bound_bytes, "settings": {"segment.bytes": str(SEGMENT_BYTES)}}
    return {"overrides": {CALLS: bound, REJECTED: bound}}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA", raising=False)
        plan = Plan(
            merchants={"trustpayments": ("shop-uk",)},
            configuration={"topics": topics_section(BOUND_BYTES)},
            kafka_settings={"log.retention.check.interval.ms": "300", "log.initial.task.delay.ms": "100"},
            partitions=2,
            consumers=False,
        )
        with Sandbox(plan) as one:
            yield one


@pytest.fixture(scope="module")
def flooded(sandbox: Sandbox) -> int:
    """How many calls were stored; a payment was made in the middle of them, and has its status."""
    port = int(sandbox.ingest_address.rpartition(":")[2])
    stored, payments = 0, []
    while stored * BODY_BYTES < FLOOD_BYTES:
        stored += load(port, 1.0, body_bytes=BODY_BYTES)["requests"]
        payments += buy(sandbox, "trustpayments")

    def published() -> bool:
        found = {json.loads(one.value)["payment_id"] for one in topics_reader.whole(sandbox.bootstrap, status)}
        return found >= set(payments)

    status = sandbox.topic("payments.status")
    assert wait_for(published, within_seconds=60, every=0.3)
    return stored


def sizes(sandbox: Sandbox) -> dict[str, int]:
    names = [sandbox.topic(CALLS), sandbox.topic(REJECTED)]
    with admin(sandbox.configuration) as client:
        return largest_partitions(client, names)


@pytest.mark.usefixtures("flooded")
def test_flood_leaves_no_more_than_the_bound_on_the_disks(sandbox: Sandbox) -> None:
    def bounded() -> bool:
        found = sizes(sandbox)
        assert len(found) == 2
        return max(found.values()) <= BOUND_BYTES + 2 * SEGMENT_BYTES

    assert wait_for(bounded, within_seconds=30, every=0.2), sizes(sandbox)
    # and no less: what fits stays
    assert sizes(sandbox)[sandbox.topic(CALLS)] >= BOUND_BYTES


def test_oldest_records_are_deleted_and_the_newest_kept(sandbox: Sandbox, flooded: int) -> None:
    held = topics_reader.whole(sandbox.bootstrap, sandbox.topic(CALLS))
    assert 0 < len(held) < flooded
    ends = topics_reader.counts(sandbox.bootstrap, sandbox.topic(CALLS))
    assert ends[sandbox.topic(CALLS)] >= flooded


@pytest.mark.usefixtures("flooded")
def test_doctor_warns_of_a_topic_that_is_full(sandbox: Sandbox) -> None:
    said = sandbox.command("doctor", "--config", str(sandbox.config_path))
    assert "records are deleted, read or not" in said
    assert "without retention.bytes" not in said


@pytest.mark.usefixtures("flooded")
def test_topics_apply_deletes_records_only_on_request(sandbox: Sandbox) -> None:
    document = yaml.safe_load(sandbox.config_path.read_text("utf-8"))
    document["topics"]["overrides"] = topics_section(BOUND_BYTES // 4)["overrides"]
    lower = sandbox.config_path.with_name("lower.yaml")
    lower.write_text(yaml.safe_dump(document), "utf-8")
    before = sizes(sandbox)
    with pytest.raises(ConfigurationError, match="--delete-oldest"):
        sandbox.command("topics", "apply", "--config", str(lower))
    assert min(sizes(sandbox).values()) >= min(before.values(), default=0) - SEGMENT_BYTES
    assert "0 differences left" in sandbox.command("topics", "apply", "--delete-oldest", "--config", str(lower))
    assert wait_for(lambda: max(sizes(sandbox).values()) < BOUND_BYTES, within_seconds=30, every=0.2)
