"""Mistakes a person would make in a values file: each is refused before anything changes, by the key's name and with
what is allowed, by both helms. Each file here is a working one with one mistake."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.rendering import CHART, run, values_file
from tests.helm.tools import HELMS

Change = Callable[[Any], None]


def put(path: str, value: Any) -> Change:
    """Set one key; a number in the path is a place in a list."""

    def change(values: Any) -> None:
        *parents, last = path.split(".")
        for one in parents:
            values = values[int(one)] if one.isdigit() else values.setdefault(one, {})
        values[last] = value

    return change


def drop(path: str) -> Change:
    def change(values: Any) -> None:
        *parents, last = path.split(".")
        for one in parents:
            values = values[int(one)] if one.isdigit() else values[one]
        del values[last]

    return change


MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no image": (drop("image"), ("/image/repository",)),
    "tag within the repository's digest": (put("image.digest", "latest"), ("/image/digest", "sha256:")),
    "unknown pull policy": (put("image.pullPolicy", "Sometimes"), ("/image/pullPolicy", "'IfNotPresent'")),
    "misspelt key": (put("ingest.replica", 3), ("replica", "'replicas'")),
    "misspelt section": (put("worker", {}), ("worker", "'workers'")),
    "text for a number": (put("ingest.replicas", "two"), ("/ingest/replicas", "want integer")),
    "text for a switch": (put("monitoring.dashboards", "yes"), ("/monitoring/dashboards", "want boolean")),
    "no brokers": (drop("configuration.kafka.bootstrap_servers"), ("/configuration/kafka/bootstrap_servers",)),
    "broker without port": (
        put("configuration.kafka.bootstrap_servers", "broker-1"),
        ("/configuration/kafka/bootstrap_servers", "[0-9]+"),
    ),
    "camel case in the product's part": (
        put("configuration.worker.batchRecords", 5), ("batchRecords", "'batch_records'"),
    ),
    "no merchant": (put("configuration.merchants", []), ("/configuration/merchants", "minItems")),
    "unknown provider": (put("configuration.merchants.0.provider", "rabo"), ("/provider", "'omnikassa'")),
    "another provider's key": (put("configuration.merchants.0.api_key", {}), ("api_key", "'signing_keys'")),
    "a secret in the open": (
        put("configuration.merchants.0.refresh_token", {"value": "abc"}), ("value", "'existingSecret', 'key'"),
    ),
    "a secret as text": (put("configuration.merchants.1.password", "abc"), ("/password", "want object")),
    "a secret without its key": (
        put("configuration.merchants.1.password", {"existingSecret": "shop-uk"}), ("/password", "'key'"),
    ),
    "the same merchant twice": (
        put("configuration.merchants.1.id", "shop-nl"), ("configuration.merchants[1].id", "must differ"),
    ),
    "http": (
        put("configuration.merchants.2.base_url", "http://gateway.example"),
        ("configuration.merchants[2].base_url", "Use https"),
    ),
    "four retry delays": (
        put("configuration.worker.retry_delays_seconds", [1, 2, 3, 4]), ("/retry_delays_seconds", "want 5"),
    ),
    "a topic that is none": (
        put("configuration.topics.overrides", {"payment.status": {"partitions": 2}}),
        ("configuration.topics.overrides.payment.status", "payments.status"),
    ),
    "partitions of a topic that follows": (
        put("configuration.topics.overrides", {"lookups.nevogate.retry.1": {"partitions": 2}}),
        ("lookups.nevogate.retry.1.partitions", "Set the partitions of lookups.nevogate"),
    ),
    "password without a user": (drop("kafkaAccess.worker.username"), ("kafkaAccess.worker", "username: NAME")),
    "password without SASL": (
        put("configuration.kafka.security_protocol", "SSL"), ("kafkaAccess.ingest", "Set it to SASL_SSL"),
    ),
    "certificate without a key": (
        put("kafkaAccess.worker.certificate", {"existingSecret": "a", "key": "tls.crt"}),
        ("kafkaAccess.worker", "Give both or none"),
    ),
    "more pods than partitions": (put("workers.results.replicas", 5), ("workers.results.replicas", "at most 4")),
    "scaling beyond the partitions": (
        put("workerDefaults.autoscaling", {"enabled": True, "maxReplicas": 9}),
        ("autoscaling.maxReplicas", "at most 4"),
    ),
    "a stage nobody runs": (
        put("workers.results.stages", ["resolve", "orders"]), ("workers: no group runs charge", "Add each"),
    ),
    "a stage in two groups": (
        put("workers.more", {"stages": ["resolve"]}), ("workers.more and workers.results", "exactly one group"),
    ),
    "a stage that is none": (put("workers.results.stages", ["resolv"]), ("/workers/results/stages", "'resolve'")),
    "a group's name that is taken": (
        lambda values: values.update(workers={"results": None, "topics": {"stages": ["resolve", "orders", "charge"]}}),
        ("workers.topics", "Choose another"),
    ),
    "more asked for than allowed": (
        put("ingest.resources", {"requests": {"memory": "1Gi"}, "limits": {"memory": "512Mi"}}),
        ("ingest.resources.requests.memory", "at most the limit"),
    ),
    "a quantity that is none": (put("ingest.resources.limits", {"memory": "1 GB"}), ("/limits/memory", "Ki|Mi|Gi")),
    "fewest above most": (
        put("ingest.autoscaling.minReplicas", 9), ("ingest.autoscaling.minReplicas", "at most that"),
    ),
    "strimzi without its cluster": (put("topics.manage", "strimzi"), ("strimzi.cluster", "Set it to")),
    "users that come after the job": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True}}), ("topics.manage", "strimzi or none"),
    ),
    "external secrets from nowhere": (
        put("externalSecrets.enabled", True), ("externalSecrets.store.name", "SecretStore"),
    ),
    "an ingress without hosts": (put("httpIngress.enabled", True), ("httpIngress.hosts", "hooks.shop.example")),
    "a host with its scheme": (
        put("httpIngress", {"enabled": True, "hosts": ["https://hooks.shop.example"]}), ("/httpIngress/hosts/0",),
    ),
    "a route without gateways": (put("httpRoute.enabled", True), ("httpRoute.parentRefs", "Name the Gateways")),
    "an address that is no CIDR": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.7"]}), ("/networkPolicy/providerCIDRs/omnikassa",),
    ),
    "an alert before the restart": (
        put("alerts.standstillSeconds", 60), ("alerts.standstillSeconds", "must be longer than"),
    ),
    "a runbook without https": (put("alerts.runbookURL", "runbooks"), ("/alerts/runbookURL", "https")),
    "a name too long": (put("fullnameOverride", "payments-of-the-northern-region-a"), ("/fullnameOverride", "{0,28}")),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_the_key_and_what_is_allowed(mistake: str, tmp_path: Path) -> None:
    change, words = MISTAKES[mistake]
    values = yaml.safe_load(Path(values_file("scram")).read_text("utf-8"))
    change(values)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    for version in HELMS:
        refused = run("template", "shop", str(CHART), "-f", str(file), version=version)
        assert refused.returncode != 0, f"{version} takes it"
        for word in words:
            assert word in refused.stderr, f"{version} says: {refused.stderr}"


def test_the_working_file_is_not_refused(tmp_path: Path) -> None:
    values = yaml.safe_load(Path(values_file("scram")).read_text("utf-8"))
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(copy.deepcopy(values)), "utf-8")
    assert run("template", "shop", str(CHART), "-f", str(file)).returncode == 0


def test_a_long_release_is_told_to_choose_a_shorter_name() -> None:
    refused = run("template", "payments-of-the-northern-region", str(CHART), "-f", values_file("scram"))
    assert "Set fullnameOverride" in refused.stderr
