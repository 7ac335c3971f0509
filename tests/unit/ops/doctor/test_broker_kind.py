"""The doctor names the brokers' kind and version, and what they lack."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.protocol.api_key import ApiKey
from kafka.protocol.broker_version_data import BrokerVersionData

from paynotify.ops.doctor.broker_kind import NEWEST, OLDEST, check_kind, kind_of
from paynotify.ops.doctor.finding import Finding


class Cluster:
    """An admin client of brokers that understand the requests of these versions, but not those in ``without``."""

    def __init__(self, *versions: tuple[int, ...], cluster_id: str = "", host: str = "b", without: Any = ()) -> None:
        self._brokers = []
        for version in versions:
            known = BrokerVersionData(broker_version=version).api_versions
            requests = {api: supported for api, supported in known.items() if api not in without}
            self._brokers.append(SimpleNamespace(broker_version=version, api_versions=requests))
        self._cluster_id, self._host = cluster_id, host

    def describe_cluster(self) -> dict[str, Any]:
        brokers = [{"broker_id": number, "host": self._host} for number in range(len(self._brokers))]
        return {"cluster_id": self._cluster_id, "brokers": brokers}

    def get_broker_version_data(self, broker_id: int) -> Any:
        return self._brokers[broker_id]


def findings(cluster: Cluster) -> list[Finding]:
    return list(check_kind(cluster))


@pytest.mark.parametrize(
    ("cluster_id", "host", "kind"),
    [
        ("MkU3OEVBNTcwNTJENDM2Qk", "broker-1.kafka.svc", "Apache Kafka"),
        ("redpanda.3f1c2d4e-0000-4000-8000-000000000000", "10.0.0.1", "Redpanda"),
        ("vci_0b2f8c8e_1234", "10.0.0.1", "WarpStream"),
        ("a", "b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com", "Amazon MSK"),
        ("a", "boot-abc.c1.kafka-serverless.eu-west-1.amazonaws.com", "Amazon MSK Serverless"),
        ("a", "shop.servicebus.windows.net", "Azure Event Hubs"),
        ("lkc-1", "b0-pkc-1.eu-west-1.aws.confluent.cloud", "Confluent Cloud"),
        ("a", "kafka.eu-west-1.amazonaws.com.shop.example", "Apache Kafka"),
    ],
)
def test_kind_is_recognised_by_the_clusters_id_and_the_brokers_names(cluster_id: str, host: str, kind: str) -> None:
    assert kind_of(cluster_id, ["10.0.0.9", host]) == kind


def test_supported_version_is_named() -> None:
    assert [str(one) for one in findings(Cluster(OLDEST, (4, 0)))] == ["ok       brokers: Apache Kafka 3.7 and 4.0"]
    (newest,) = findings(Cluster(NEWEST))
    assert (newest.verdict, newest.what) == ("ok", "Apache Kafka 4.3 or newer")


def test_older_version_and_another_kind_are_warnings() -> None:
    (older,) = findings(Cluster((3, 6)))
    assert (older.verdict, older.what) == ("warning", "Apache Kafka 3.6 is older than 3.7, the oldest tried")
    (other,) = findings(Cluster(OLDEST, cluster_id="redpanda.1"))
    assert other.verdict == "warning"
    assert other.what == "Redpanda, with the requests of Kafka 3.7; paynotify was not tried on it"


def test_everything_that_is_missing_is_named() -> None:
    without = {ApiKey.InitProducerId, ApiKey.JoinGroup}
    _, *missing = findings(Cluster(OLDEST, OLDEST, without=without))
    assert [(one.verdict, one.what.split(":")[0]) for one in missing] == [
        ("error", "they lack idempotent writes"),
        ("warning", "they lack static membership (worker.group_instance_id)"),
    ]


def test_brokers_of_another_age_are_found_even_if_one_is_new() -> None:
    _, *missing = findings(Cluster(NEWEST, (2, 0)))
    assert missing[0].what.startswith("they lack static membership")
