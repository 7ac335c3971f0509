"""The outbound webhooks in the chart: off by default, with a user, Secrets and ways out of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from tests.helm.changes import Change, drop, put
from tests.helm.rendering import Thing, of_kind, refusals, secrets_of, things, workloads
from tests.helm.test_unusual_values import rendered

SUBSCRIPTIONS: Final = [
    {
        "id": "erp",
        "url": "https://erp.example/hooks",
        "secrets": [{"existingSecret": "erp-webhook", "key": "now"}],
    },
    {
        "id": "wms",
        "url": "https://wms.shop.example:8443/hooks",
        "secrets": [{"existingSecret": "wms-webhook", "key": key} for key in ("old", "new")],
    },
]
USER: Final = {"username": "paynotify-deliver", "password": {"existingSecret": "paynotify-deliver", "key": "password"}}
CERTIFICATE: Final = {
    name: {"existingSecret": "pay-deliver", "key": key}
    for name, key in (("certificate", "user.crt"), ("privateKey", "user.key"))
}
SETTINGS: Final = {"ca": {"existingSecret": "subscribers-ca", "key": "ca.crt"}, "drain_seconds": 30}
PROXY: Final = {"url": "http://proxy.egress:3128", "credentials": {"existingSecret": "proxy", "key": "credentials"}}


def enabled(credentials: Any, **settings: Any) -> Change:
    besides = {
        "configuration.deliver": {"subscriptions": SUBSCRIPTIONS, **settings},
        "kafkaAccess.deliver": credentials,
    }
    return put("deliver", {"enabled": True}, besides)


@pytest.fixture(scope="module")
def scram(tmp_path_factory: pytest.TempPathFactory) -> list[Thing]:
    """Rendered, and valid for Kubernetes."""
    return rendered("scram", enabled(USER, **SETTINGS), folder=tmp_path_factory.mktemp("scram"))


@pytest.fixture(scope="module")
def strimzi(tmp_path_factory: pytest.TempPathFactory) -> list[Thing]:
    return rendered("strimzi", enabled(CERTIFICATE, proxy=PROXY), folder=tmp_path_factory.mktemp("strimzi"))


def named(found: list[Thing], kind: str, ending: str = "-deliver") -> dict[str, Any]:
    (one,) = [one for one in of_kind(found, kind) if one["metadata"]["name"].endswith(ending)]
    return one


def test_nothing_of_it_is_rendered_by_default() -> None:
    assert [one["metadata"]["name"] for one in things("scram") if "deliver" in one["metadata"]["name"]] == []


def test_pods_and_the_doctor_alone_have_the_secrets_of_the_subscribers(scram: list[Thing]) -> None:
    subscribers = {"erp-webhook", "wms-webhook", "subscribers-ca"}
    own = {*subscribers, "paynotify-deliver"}
    for workload in workloads(scram):
        mounted = secrets_of(workload)
        if workload["metadata"]["name"].endswith("-deliver"):
            assert mounted == {*own, "kafka-ca"}
        elif workload["metadata"]["name"].endswith("-doctor"):
            assert mounted & own == subscribers
        else:
            assert not mounted & own, workload["metadata"]["name"]


def test_file_is_accepted_by_the_product_and_has_its_own_user(scram: list[Thing]) -> None:
    configuration = parse(named(scram, "ConfigMap")["data"]["paynotify.yaml"], "paynotify.yaml")
    assert configuration.kafka.sasl_plain_username == "paynotify-deliver"
    erp, wms = configuration.deliver.subscriptions
    assert erp.secrets[0].file == "/run/secrets/paynotify/erp-webhook/now"
    assert len(wms.secrets) == 2
    pod = named(scram, "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > configuration.deliver.drain_seconds + 5
    assert pod["containers"][0]["args"] == ["deliver"]


def test_user_may_read_results_and_write_only_what_is_its_own(strimzi: list[Thing]) -> None:
    user = named(strimzi, "KafkaUser")
    rights = {
        (one["resource"]["type"], one["resource"]["name"].removeprefix("prod_")): set(one["operations"])
        for one in user["spec"]["authorization"]["acls"]
    }
    writable = {name for (_, name), granted in rights.items() if "Write" in granted}
    assert writable == {"deliveries.state", "deliveries.dead"}
    results = ("payments.status", "payments.overdue", "payments.requests", "deliveries.replayed")
    assert all(rights["topic", name] == {"Read", "Describe"} for name in results)
    assert rights["group", "paynotify.deliver."] == {"Read", "Describe"}


def ports(rule: dict[str, Any]) -> set[int]:
    return {one["port"] for one in rule["ports"]}


def test_pods_reach_the_public_ports_of_subscribers_or_the_proxy(scram: list[Thing], strimzi: list[Thing]) -> None:
    egress = named(scram, "NetworkPolicy")["spec"]["egress"]
    (rule,) = [one for one in egress if 443 in ports(one)]
    assert ports(rule) == {443, 8443}
    assert "10.0.0.0/8" in rule["to"][0]["ipBlock"]["except"]
    assert any(ports(one) == {3128} for one in named(strimzi, "NetworkPolicy")["spec"]["egress"])


@pytest.mark.parametrize("component", ["doctor", "tools"])
def test_doctor_and_the_pod_for_it_have_the_ways_and_secrets_of_deliver(component: str, strimzi: list[Thing]) -> None:
    ways = named(strimzi, "NetworkPolicy", f"-{component}")["spec"]["egress"]
    assert [one for one in named(strimzi, "NetworkPolicy")["spec"]["egress"] if one not in ways] == []
    (workload,) = [
        one for one in of_kind(strimzi, "Deployment", "Job") if one["metadata"]["name"].endswith(f"-{component}")
    ]
    assert {"erp-webhook", "wms-webhook", "proxy"} <= secrets_of(workload)


@pytest.mark.parametrize("mistake", ["configuration.deliver", "kafkaAccess.deliver"])
def test_values_without_subscriptions_or_credentials_are_refused(mistake: str, tmp_path: Path) -> None:
    def change(values: Any) -> None:
        enabled(USER)(values)
        drop(mistake)(values)

    for version, said in refusals(change, tmp_path):
        assert "deliver" in said, version


def test_proxys_credentials_are_a_file(strimzi: list[Thing]) -> None:
    settings = yaml.safe_load(named(strimzi, "ConfigMap")["data"]["paynotify.yaml"])["deliver"]
    assert settings["proxy"]["credentials"] == {"file": "/run/secrets/paynotify/proxy/credentials"}
