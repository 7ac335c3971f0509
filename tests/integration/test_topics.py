"""``paynotify topics`` on a real Kafka: creates, mends, reports, never deletes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from paynotify.schemas.topics import all_topics
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka

DAY_MILLISECONDS = 24 * 3600 * 1000


def topics(installation: Installation, action: str) -> tuple[int | None, dict[str, Any]]:
    code, said = installation.finished("topics", action, "--json")
    report: dict[str, Any] = json.loads(said.splitlines()[-1])
    return code, report


def settings(installation: Installation, name: str) -> dict[str, str]:
    client = KafkaAdminClient(bootstrap_servers=installation.kafka)
    try:
        topic = installation.topic(name)
        found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        return {key: value["value"] for key, value in found["topic"][topic].items()}
    finally:
        client.close()


def test_apply_creates_every_topic_and_then_changes_nothing(bare_installation: Installation) -> None:
    names = [bare_installation.topic(topic.name) for topic in all_topics()]
    code, report = topics(bare_installation, "check")
    assert (code, sorted(report["missing"])) == (1, sorted(names))
    code, report = topics(bare_installation, "apply")
    assert code == 0
    assert sorted(report["created"]) == sorted(names)
    assert topics(bare_installation, "apply") == (0, {"created": [], "changed": [], "missing": [], "different": []})
    assert topics(bare_installation, "check")[0] == 0
    assert settings(bare_installation, "payments.latest")["cleanup.policy"] == "compact"
    assert settings(bare_installation, "payments.status")["retention.ms"] == "-1"
    assert settings(bare_installation, "paynotify.resolve-state-changelog")["cleanup.policy"] == "compact"


def test_changed_retention_is_mended(installation: Installation) -> None:
    changed = {"notifications.rejected": {"retention_seconds": 7 * 24 * 3600}}
    installation.configure(topics={"partitions": 3, "replication_factor": 1, "overrides": changed})
    code, report = topics(installation, "check")
    assert code == 1
    (difference,) = report["different"]
    assert difference["fixable"] is True
    code, report = topics(installation, "apply")
    assert (code, len(report["changed"]), report["different"]) == (0, 1, [])
    assert settings(installation, "notifications.rejected")["retention.ms"] == str(7 * DAY_MILLISECONDS)


def test_topic_settings_made_by_hand_are_left_alone(installation: Installation) -> None:
    client = KafkaAdminClient(bootstrap_servers=installation.kafka)
    try:
        own = installation.topic("somebody.elses")
        client.create_topics([NewTopic(own, 1, 1)], wait_for_metadata=True)
        topic = ConfigResource(
            ConfigResourceType.TOPIC, installation.topic("observations"), {"segment.bytes": "2097152"}
        )
        client.alter_configs([topic], incremental=True)
        assert topics(installation, "apply")[0] == 0
        assert own in client.list_topics()
        assert settings(installation, "observations")["segment.bytes"] == "2097152"
    finally:
        client.close()


def test_wrong_number_of_partitions_is_reported_and_not_changed(installation: Installation) -> None:
    installation.configure(topics={"partitions": 4, "replication_factor": 1})
    code, report = topics(installation, "apply")
    assert code == 1
    assert {one["what"] for one in report["different"]} == {"partitions"}
    assert not any(one["fixable"] for one in report["different"])
    installation.configure()
    assert topics(installation, "check")[0] == 0


def test_unreachable_broker_is_one_clear_paragraph(bare_installation: Installation) -> None:
    bare_installation.configure(kafka={"bootstrap_servers": "127.0.0.1:1"})
    code, said = bare_installation.finished("topics", "apply", within_seconds=25)
    assert code == 3, said
    assert "No Kafka broker answered at 127.0.0.1:1" in said
    assert "Traceback" not in said


def test_more_replicas_than_brokers_are_refused_with_the_key(bare_installation: Installation) -> None:
    bare_installation.configure(topics={"partitions": 3, "replication_factor": 99})
    code, said = bare_installation.finished("topics", "apply")
    assert code == 3
    assert "topics.replication_factor must be at most the number of brokers that are up, got 99." in said
    assert "Traceback" not in said
