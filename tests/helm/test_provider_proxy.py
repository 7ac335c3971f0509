"""A forward proxy for provider calls: who may reach it, who knows its password, and whom to reach without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from paynotify.schemas.configuration.load import parse
from tests.helm.changes import put
from tests.helm.rendering import Thing, hosts_reached, of_kind, secrets_of, workloads
from tests.helm.test_unusual_values import rendered

PROXY: Final[dict[str, Any]] = {
    "url": "http://proxy.dmz.example:3128",
    "credentials": {"existingSecret": "way-out", "key": "proxy"},
}
PEER: Final = {"ipBlock": {"cidr": "10.20.30.40/32"}}
CALLING: Final = {"omnikassa", "trustpayments", "nevogate", "results", "doctor"}


def rules(found: list[Thing], port: int) -> dict[str, list[Thing]]:
    """By policy, the rules for egress to a port."""
    policies = of_kind(found, "NetworkPolicy")
    kept = {
        one["metadata"]["name"].removeprefix("shop-paynotify-"): [
            rule for rule in one["spec"].get("egress", []) if rule["ports"][0]["port"] == port
        ]
        for one in policies
    }
    return {name: some for name, some in kept.items() if some}


def with_proxy(folder: Path, way: str = "scram", *no_proxy: str) -> list[Thing]:
    setting = {**PROXY, "no_proxy": list(no_proxy)} if no_proxy else PROXY
    changes = (
        put("configuration.worker.provider_proxy", setting),
        put("configuration.worker.provider_ca", {"existingSecret": "company-ca", "key": "ca.crt"}),
        put("networkPolicy.providerProxy", [PEER]),
    )
    return rendered(way, *changes, folder=folder)


def test_workers_that_call_reach_the_proxy_and_no_provider(tmp_path: Path) -> None:
    found = with_proxy(tmp_path)
    opened = rules(found, 3128)
    assert set(opened) == CALLING
    assert all(some == [{"ports": [{"port": 3128, "protocol": "TCP"}], "to": [PEER]}] for some in opened.values())
    assert rules(found, 443) == {}


def test_hosts_without_proxy_stay_open(tmp_path: Path) -> None:
    found = with_proxy(tmp_path, "scram", "api.pay.rabobank.nl", ".paymentgateway.hu")
    assert set(rules(found, 443)) == {"omnikassa", "nevogate", "results", "doctor"}


def test_cilium_opens_the_hosts_without_proxy_only(tmp_path: Path) -> None:
    assert not of_kind(with_proxy(tmp_path, "strimzi"), "CiliumNetworkPolicy")
    found = with_proxy(tmp_path, "strimzi", ".securetrading.net")
    assert {host for host, _ in hosts_reached(found)} == {"webservices.securetrading.net"}


def test_workers_alone_know_the_password_and_the_authorities(tmp_path: Path) -> None:
    found = with_proxy(tmp_path)
    for one in workloads(found):
        is_worker = one["kind"] == "StatefulSet" or one["metadata"]["name"].endswith("-doctor")
        assert {"way-out", "company-ca"} & secrets_of(one) == ({"way-out", "company-ca"} if is_worker else set())
    (file,) = (one for one in of_kind(found, "ConfigMap") if one["metadata"]["name"].endswith("-worker"))
    worker = parse(file["data"]["paynotify.yaml"], "paynotify.yaml").worker
    assert worker.provider_proxy is not None
    assert worker.provider_proxy.credentials is not None
    assert worker.provider_proxy.credentials.file == "/run/secrets/paynotify/way-out/proxy"
    assert yaml.safe_load(file["data"]["paynotify.yaml"])["worker"]["provider_ca"] == {
        "file": "/run/secrets/paynotify/company-ca/ca.crt"
    }
