"""The configuration that the chart renders is valid for the product and means the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.values import STAGES as CHART_STAGES
from paynotify.ops import rights
from paynotify.processors.wiring import STAGES
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.merchants import charges_of, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.service.cluster import wanted_settings
from tests.helm.changes import put
from tests.helm.rendering import WAYS, Thing, hosts_reached, named, of_kind, pod_of, things, workloads
from tests.helm.test_unusual_values import rendered

SECRETS = "/run/secrets/paynotify/"


def file_of(way: str, process: str) -> str:
    maps = {one["metadata"]["name"].rpartition("-")[2]: one for one in of_kind(things(way), "ConfigMap")}
    text: str = maps[process]["data"]["paynotify.yaml"]
    return text


def configuration_of(way: str, process: str) -> Configuration:
    return parse(file_of(way, process), "paynotify.yaml")


def paths_in(value: Any) -> set[str]:
    """Every path of a secret in a configuration file."""
    if isinstance(value, dict):
        return {path for one in value.values() for path in paths_in(one)}
    if isinstance(value, list):
        return {path for one in value for path in paths_in(one)}
    return {value} if isinstance(value, str) and value.startswith(SECRETS) else set()


def mounted(workload: Thing) -> dict[str, str]:
    """Mount path to Secret of one workload."""
    pod = pod_of(workload)["spec"]
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    return {
        mount["mountPath"]: secrets[mount["name"]]
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["name"] in secrets
    }


def arguments(workload: Thing) -> list[str]:
    words: list[str] = pod_of(workload)["spec"]["containers"][0]["args"]
    return words


def options(workload: Thing, option: str) -> list[str]:
    """The values of an option that may be given again and again."""
    return [word.removeprefix(option) for word in arguments(workload) if word.startswith(option)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("process", ["ingest", "worker"])
def test_configuration_is_valid_for_the_product(way: str, process: str) -> None:
    configuration = configuration_of(way, process)
    assert configuration.merchants
    assert configuration.state_directory == "/var/lib/paynotify"


@pytest.mark.parametrize("way", WAYS)
def test_configuration_differs_between_processes_by_user_only(way: str) -> None:
    ingest, worker = (yaml.safe_load(file_of(way, process)) for process in ("ingest", "worker"))
    for one in (ingest, worker):
        for key in [key for key in one["kafka"] if key.startswith(("sasl_plain", "ssl_certfile", "ssl_keyfile"))]:
            del one["kafka"][key]
    assert ingest == worker


def test_configuration_keeps_numbers_as_written() -> None:
    configuration = configuration_of("scram", "worker")
    (charging,) = [one for one in configuration.merchants if one.id == "shop-hu"]
    charges = charges_of(charging)
    assert charges is not None
    assert charges.limits["EUR"].per_day == 5_000_000
    assert configuration.worker.session_timeout_seconds == 45


@pytest.mark.parametrize("way", WAYS)
def test_secrets_are_mounted_only_where_they_are_needed(way: str) -> None:
    found = things(way)
    whole = yaml.safe_load(file_of(way, "worker"))
    kafka_paths = {
        process: paths_in(yaml.safe_load(file_of(way, process))["kafka"]) for process in ("ingest", "worker")
    }
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        if workload["metadata"]["name"].endswith(("-tools", "-console")):
            continue  # see test_tools_pod.py and test_console.py
        providers = {*options(workload, "--provider=")}
        if "charge" in options(workload, "--stage="):
            providers.add("nevogate")
        is_ingest = arguments(workload)[0] == "ingest"
        wanted = set(kafka_paths["ingest" if is_ingest else "worker"])
        wanted |= set() if is_ingest else paths_in(whole["worker"])
        for merchant in whole["merchants"]:
            if merchant["provider"] in providers:
                wanted |= paths_in(merchant)
        assert {path.rpartition("/")[0] for path in wanted} == set(mounted(workload))
    for workload in workloads(found):
        for path, secret in mounted(workload).items():
            assert path == SECRETS + secret.removesuffix("-hook")


def test_ingress_mounts_no_secret_of_a_merchant() -> None:
    (ingest,) = of_kind(things("scram"), "Deployment")
    assert set(mounted(ingest).values()) == {"kafka-ca", "paynotify-ingest"}


def test_groups_run_every_stage_of_every_provider_once() -> None:
    assert CHART_STAGES == STAGES
    for way in WAYS:
        configuration = configuration_of(way, "worker")
        run: list[tuple[str, str | None]] = []
        for workload in of_kind(things(way), "StatefulSet"):
            stages, providers = options(workload, "--stage="), options(workload, "--provider=")
            run += [(stage, provider) for stage in stages if stage in STAGES[:3] for provider in providers]
            run += [(stage, None) for stage in stages if stage in STAGES[3:]]
            assert "--group-instance-id=$(POD_NAME)" in arguments(workload)
        used = {provider_of(merchant) for merchant in configuration.merchants}
        wanted: list[tuple[str, str | None]] = [(stage, None) for stage in STAGES[3:]]
        wanted += [(stage, provider) for stage in STAGES[:3] for provider in used]
        assert sorted(set(run) & set(wanted), key=str) == sorted(wanted, key=str)
        assert len(set(run)) == len(run)


def test_strimzi_topics_are_those_of_the_product() -> None:
    configuration = configuration_of("strimzi", "worker")
    settings = wanted_settings(configuration)
    made = {one["spec"]["topicName"]: one for one in of_kind(things("strimzi"), "KafkaTopic")}
    assert made.keys() == configuration.wanted_topics().keys()
    for name, (_, partitions, replication_factor) in configuration.wanted_topics().items():
        spec = made[name]["spec"]
        assert (spec["partitions"], spec["replicas"]) == (partitions, replication_factor), name
        assert spec["config"] == settings[name], name


def test_uninstall_keeps_the_topics() -> None:
    for topic in of_kind(things("strimzi"), "KafkaTopic"):
        annotations = topic["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
        assert topic["metadata"]["labels"]["strimzi.io/cluster"] == "main"


def grants(user: str) -> dict[tuple[str, str], set[str]]:
    """What a KafkaUser may do: kind and name to operations; prefixes end in an asterisk."""
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in named(things("strimzi"), "KafkaUser", user)["spec"]["authorization"]["acls"]:
        on = rule["resource"]
        name = on["name"] + ("*" if on["patternType"] == "prefix" else "")
        granted.setdefault((on["type"], name), set()).update(rule["operations"])
    return granted


def test_strimzi_shops_may_write_requests_only_with_may_charge() -> None:
    assert grants("webshop") == {("topic", "prod_payments.expected"): {"Write", "Describe"}}
    assert grants("subscriptions") == {
        ("topic", "prod_payments.expected"): {"Write", "Describe"},
        ("topic", "prod_payments.requested"): {"Write", "Describe"},
        ("topic", "prod_operators.actions"): {"Write", "Describe"},
    }
    users = [one["metadata"]["name"] for one in of_kind(things("strimzi"), "KafkaUser")]
    asked = ("topic", "prod_payments.requested")
    assert [user for user in users if "Write" in grants(user).get(asked, set())] == ["subscriptions"]


def test_strimzi_ingress_may_write_notifications_only() -> None:
    assert grants("pay-ingest") == {("topic", "prod_notifications.trustpayments"): {"Write", "Describe"}}


def test_strimzi_consumers_may_read_results_only() -> None:
    granted = grants("erp")
    assert granted.pop(("group", "erp*")) == {"Read", "Describe"}
    assert {name.removeprefix("prod_") for _, name in granted} == {
        topics.STATUS,
        topics.LATEST,
        topics.OVERDUE,
        topics.REQUESTS,
        topics.SILENT,
    }
    assert all(operations == {"Read", "Describe"} for operations in granted.values())


def test_strimzi_tools_may_do_what_the_commands_need_and_no_more() -> None:
    granted = grants("pay-tools")
    wanted: dict[tuple[str, str], set[str]] = {}
    for one in rights.allowed("tools") | rights.allowed("mayForget"):
        name = f"prod_{one.name}" + ("*" if one.kind == "group" else "")
        wanted.setdefault((one.kind, name), set()).add(one.operation)
    assert granted == wanted
    written = {
        name.removeprefix("prod_") for (kind, name), found in granted.items() if kind == "topic" and "Write" in found
    }
    assert not written & {topics.STATUS, topics.LATEST, topics.REQUESTED, topics.REQUESTS, topics.changelog("resolve")}
    assert not any(kind == "transactionalId" for kind, _ in granted)


def test_strimzi_workers_may_write_every_topic_but_requests() -> None:
    granted = grants("pay-worker")
    for topic in topics.all_topics():
        operations = granted.pop(("topic", f"prod_{topic.name}"))
        assert "Read" in operations
        assert ("Write" in operations) == (topic.name != topics.REQUESTED), topic.name
    assert granted == {
        ("group", "prod_paynotify.*"): {"Read", "Describe"},
        ("transactionalId", "prod_paynotify.*"): {"Write", "Describe"},
    }


def test_workers_reach_only_the_providers_that_they_call() -> None:
    found = things("external")
    reach = {
        policy["metadata"]["name"].removeprefix("shop-paynotify-"): [
            peer["ipBlock"]["cidr"]
            for rule in policy["spec"].get("egress", [])
            for peer in rule.get("to", [])
            if "ipBlock" in peer and not peer["ipBlock"]["cidr"].startswith("169.254.")
        ]
        for policy in of_kind(found, "NetworkPolicy")
    }
    public = ["0.0.0.0/0", "::/0"]
    assert reach == {
        "deny": [],
        "ingest": [],
        "topics": [],
        "omnikassa": ["203.0.113.0/24"],
        "trustpayments": public,
        "nevogate": public,
        "results": public,
        "doctor": ["203.0.113.0/24", *public],
    }
    assert ("webservices.securetrading.net", "8443") in hosts_reached(things("strimzi"))


def test_keys_of_the_encryption_are_mounted_in_ingress_and_workers(tmp_path: Path) -> None:
    key = {"existingSecret": "at-rest", "key": "2026-11"}
    change = put("configuration.encryption", {"keys": [{"id": "2026-11", "key": key}]})
    for workload in workloads(rendered("scram", change, folder=tmp_path)):
        is_hook = "topics" in workload["metadata"]["name"]
        assert ("at-rest" in mounted(workload).values()) is not is_hook
