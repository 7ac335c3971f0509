"""Unusual but valid values: the chart renders what they mean."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from tests.helm.changes import Change, put
from tests.helm.rendering import (
    CHART,
    NAMESPACE,
    Thing,
    hosts_reached,
    loaded,
    named,
    of_kind,
    pod_of,
    run,
    values_file,
    workloads,
)
from tests.helm.test_chart_objects import judge, quantity
from tests.helm.tools import HELMS, helm

SCALED: Final = put("workerDefaults.autoscaling", {"enabled": True})
ODD: Final[dict[str, tuple[Change, ...]]] = {
    # YAML takes all of these for something other than text unless they are in quotes
    "secrets named by a number and by a country": (
        put("configuration.merchants.0.refresh_token", {"existingSecret": "2004", "key": "1"}),
        put("kafkaAccess.worker.password", {"existingSecret": "no", "key": "on"}),
        SCALED,
    ),
    "external secrets named by numbers": (
        put("externalSecrets", {"enabled": True, "store": {"name": "1"}, "secrets": {"7": {"8": {"remoteKey": "9"}}}}),
    ),
    "classes named by numbers": (
        put("httpIngress", {"enabled": True, "hosts": ["a.example"], "className": "on", "tlsSecret": "1"}),
        put("pod.priorityClassName", "1"),
        put("workerDefaults.state", {"storageClassName": "2"}),
    ),
    "groups named on and no": (
        put("workers.results", None),
        put("workers.on", {"stages": ["resolve", "charge"]}),
        put("workers.no", {"stages": ["orders"]}),
        SCALED,
    ),
    "a host in another script": (put("httpIngress", {"enabled": True, "hosts": ["hooks.xn--90ais"]}),),
    "peers of all kinds": (
        put(
            "networkPolicy.brokers",
            [
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.255.255.254/31"]}},
                {"ipBlock": {"cidr": "::/0", "except": ["fc00::/7", "2001:DB8:0:ffff::/64", "::1/128"]}},
                {
                    "namespaceSelector": {},
                    "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["kafka"]}]},
                },
            ],
        ),
        put(
            "networkPolicy.extraEgress",
            [
                {"ports": [{"port": 5353, "protocol": "UDP"}, {"port": 9000, "endPort": 9010}, {"port": "dns"}]},
            ],
        ),
        put("networkPolicy.providerCIDRs", {"omnikassa": ["2001:db8::/32", "::/0", "203.0.113.7/32", "0.0.0.0/0"]}),
    ),
    "tolerations and affinity": (
        put(
            "pod.tolerations",
            [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 30}],
        ),
        put("pod.affinity", {"nodeAffinity": {}}),
    ),
    "affinity of every kind": (
        put("pod.tolerations", [{"operator": "Exists"}]),
        put(
            "pod.affinity",
            {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [{"key": "example.com/cores", "operator": "Gt", "values": ["4"]}],
                                "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["old"]}],
                            }
                        ]
                    },
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 100, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}
                    ],
                },
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "topologyKey": "zone",
                            "labelSelector": {"matchLabels": {"app": "kafka"}},
                            "namespaces": ["kafka"],
                            "namespaceSelector": {},
                            "matchLabelKeys": ["pod-template-hash"],
                        }
                    ]
                },
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {
                                    "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["kafka"]}]
                                },
                            },
                        }
                    ]
                },
            },
        ),
    ),
    "a prefix that no object's name may have": (
        put("topics.manage", "strimzi"),
        put("strimzi", {"cluster": "1"}),
        put("configuration.kafka.topic_prefix", "Prod_-.eu__"),
    ),
    "registry with a port": (put("image.repository", "images.shop.example:5000/team/paynotify"),),
    "brokers by their addresses": (
        put("configuration.kafka.bootstrap_servers", "[2001:db8::1]:9092, 203.0.113.7:9093"),
        SCALED,
    ),
    "parts of a CPU as numbers": (
        put("ingest.resources", {"requests": {"cpu": 0.25}, "limits": {"cpu": 1.5}}),
        put("workerDefaults.resources", {"requests": {"cpu": "0.1"}, "limits": {"cpu": 2.0}}),
    ),
    "base URLs with port, path and address": (
        put("configuration.merchants.0.base_url", "https://provider.example:8443/a@b:99999/"),
        put("configuration.merchants.1.webservices_url", "https://[2001:db8::1]:8443/json/"),
        put("configuration.merchants.2.base_url", "https://203.0.113.7"),
    ),
}


def rendered(way: str, *changes: Change, folder: Path, release: str = "shop", version: str = HELMS[0]) -> list[Thing]:
    """The objects of one way to run the chart, changed; each is valid, and the product reads its files."""
    values = yaml.safe_load(Path(values_file(way)).read_text("utf-8"))
    for change in changes:
        change(values)
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    done = run(
        "template", release, str(CHART), "-n", NAMESPACE, "-f", str(file), "--kube-version", "1.37", version=version
    )
    assert done.returncode == 0, done.stderr
    found = loaded(done.stdout)
    for one in found:
        judge(json.dumps(one, sort_keys=True), "1.37")
        if "paynotify.yaml" in one.get("data", {}):
            parse(one["data"]["paynotify.yaml"], "paynotify.yaml")
    return found


@pytest.mark.parametrize("odd", ODD)
def test_unusual_values_give_valid_objects_that_the_product_reads(odd: str, tmp_path: Path) -> None:
    assert workloads(rendered("scram", *ODD[odd], folder=tmp_path))


@pytest.mark.parametrize("release", ["no", "on", "y"])
def test_release_name_may_be_a_yaml_boolean(release: str, tmp_path: Path) -> None:
    (deployment,) = of_kind(rendered("scram", folder=tmp_path, release=release), "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == release


def test_labels_of_pods_and_monitoring_win_over_common_labels(tmp_path: Path) -> None:
    labels: dict[str, Any] = {"team": "payments", "release": "all", "grafana_dashboard": "all"}
    found = rendered("strimzi", put("commonLabels", labels), put("pod.labels", {"team": "on-call"}), folder=tmp_path)
    deployment = named(found, "Deployment", "pay-ingest")
    assert deployment["metadata"]["labels"]["team"] == "payments"
    assert pod_of(deployment)["metadata"]["labels"]["team"] == "on-call"
    for kind in ("PodMonitor", "PrometheusRule"):
        assert named(found, kind, "pay")["metadata"]["labels"]["release"] == "prometheus"
    assert named(found, "ConfigMap", "pay-dashboards")["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_strimzi_shop_that_is_a_consumer_has_both_rights(tmp_path: Path) -> None:
    users = {"consumers": ["webshop"], "shops": {"webshop": {"mayCharge": True}}}
    found = rendered("strimzi", lambda values: values["strimzi"]["users"].update(users), folder=tmp_path)
    granted = {
        (rule["resource"]["name"], operation)
        for rule in named(found, "KafkaUser", "webshop")["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    }
    assert {
        ("prod_payments.status", "Read"),
        ("webshop", "Read"),
        ("prod_payments.requested", "Write"),
        ("prod_payments.expected", "Write"),
    } <= granted


@pytest.mark.parametrize("version", HELMS)
def test_retention_can_be_unlimited(version: str, tmp_path: Path) -> None:
    found = rendered(
        "scram", put("configuration.worker.retention", {"delete_after_days": None}), folder=tmp_path, version=version
    )
    text = named(found, "ConfigMap", "shop-paynotify-worker")["data"]["paynotify.yaml"]
    assert parse(text, "paynotify.yaml").worker.retention.delete_after_days is None


def test_cilium_allows_every_port_of_a_host(tmp_path: Path) -> None:
    reach = hosts_reached(rendered("strimzi", folder=tmp_path))
    assert reach == {("webservices.securetrading.net", "443"), ("webservices.securetrading.net", "8443")}


SIGNED_EVENTS: Final = {
    "id": "shop-v3",
    "provider": "smartpay",
    "base_url": "https://api.pay.rabobank.nl/omnikassa-api",
    "jwks_url": "https://pay.rabobank.nl:8443/.well-known/jwks.json",
    "refresh_token": {"existingSecret": "shop-v3", "key": "refresh-token"},
    "subscription_ids": ["wsb_1"],
}


def test_host_of_public_keys_may_be_reached(tmp_path: Path) -> None:
    merchants = put("configuration.merchants", [SIGNED_EVENTS])
    reach = hosts_reached(rendered("scram", merchants, put("networkPolicy.cilium", True), folder=tmp_path))
    assert reach == {("api.pay.rabobank.nl", "443"), ("pay.rabobank.nl", "8443")}
    found = rendered("scram", merchants, folder=tmp_path)
    egress = named(found, "NetworkPolicy", "shop-paynotify-smartpay")["spec"]["egress"]
    assert {one["port"] for rule in egress for one in rule["ports"]} >= {443, 8443}


def test_group_that_only_verifies_may_fetch_public_keys(tmp_path: Path) -> None:
    apart = (
        put("configuration.merchants", [SIGNED_EVENTS]),
        put("workers.smartpay", {"providers": ["smartpay"], "stages": ["verify"]}),
        put("workers.calls", {"providers": ["smartpay"], "stages": ["fetch", "interpret"]}),
    )
    found = rendered("scram", *apart, folder=tmp_path)
    egress = named(found, "NetworkPolicy", "shop-paynotify-smartpay")["spec"]["egress"]
    assert 8443 in {one["port"] for rule in egress for one in rule["ports"]}


def test_ingress_has_the_secret_with_which_it_terminates_tls(tmp_path: Path) -> None:
    service = put("ingest.service", {"type": "LoadBalancer", "port": 443, "externalTrafficPolicy": "Local"})
    limits = put("configuration.ingest", {"keep_alive_seconds": 620})
    found = rendered("scram", put("ingest.tlsSecret", "hooks-tls"), service, limits, folder=tmp_path)
    ingest = parse(named(found, "ConfigMap", "shop-paynotify-ingest")["data"]["paynotify.yaml"], "ingest.yaml").ingest
    folder = "/run/secrets/paynotify/hooks-tls"
    assert (ingest.tls_certfile, ingest.tls_keyfile) == (f"{folder}/tls.crt", f"{folder}/tls.key")
    assert ingest.keep_alive_seconds == 620
    pod = pod_of(named(found, "Deployment", "shop-paynotify-ingest"))["spec"]
    (volume,) = [one["name"] for one in pod["volumes"] if one.get("secret", {}).get("secretName") == "hooks-tls"]
    assert {"name": volume, "mountPath": folder, "readOnly": True} in pod["containers"][0]["volumeMounts"]
    spec = named(found, "Service", "shop-paynotify-ingest")["spec"]
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["ports"][0]["appProtocol"] == "https"
    others = [one for one in workloads(found) if not one["metadata"]["name"].endswith("-ingest")]
    assert "hooks-tls" not in json.dumps(others), "nobody else needs the key"
    worker = named(found, "ConfigMap", "shop-paynotify-worker")["data"]["paynotify.yaml"]
    assert "tls_certfile" not in worker


def test_dns_port_can_be_changed(tmp_path: Path) -> None:
    found = rendered("scram", put("networkPolicy.dnsPorts", [5353]), folder=tmp_path)
    for policy in of_kind(found, "NetworkPolicy"):
        if not policy["metadata"]["name"].endswith("-deny"):
            ports = policy["spec"]["egress"][0]["ports"]
            assert [(one["port"], one["protocol"]) for one in ports] == [(5353, "UDP"), (5353, "TCP")]


def test_ephemeral_storage_covers_a_state_in_the_pod(tmp_path: Path) -> None:
    """The pod would be evicted once its state grew beyond the limit of what else it writes."""
    sizes = (
        put("workerDefaults.state", {"ephemeral": True, "size": "5Gi"}),
        put("workers.results.state", {"size": 2**31}),
    )
    for one in of_kind(rendered("scram", *sizes, folder=tmp_path), "StatefulSet"):
        spec = pod_of(one)["spec"]
        (state,) = [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "state"]
        size = quantity(state["sizeLimit"])
        assert size == 2**31 if one["metadata"]["name"].endswith("-results") else size == 5 * 2**30
        resources = spec["containers"][0]["resources"]
        assert quantity(resources["requests"]["ephemeral-storage"]) == size + 64 * 2**20
        assert quantity(resources["limits"]["ephemeral-storage"]) == size + 256 * 2**20


def test_quantities_may_be_plain_bytes(tmp_path: Path) -> None:
    found = rendered("scram", put("workerDefaults.resources", {"limits": {"memory": 2**30}}), folder=tmp_path)
    for one in of_kind(found, "StatefulSet"):
        assert pod_of(one)["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1073741824"


def test_cpu_limit_can_be_removed_everywhere(tmp_path: Path) -> None:
    without = {"limits": {"cpu": None}}
    keys = ("ingest.resources", "workerDefaults.resources", "topics.job.resources", "doctor.resources")
    for one in workloads(rendered("scram", *(put(key, without) for key in keys), folder=tmp_path)):
        limits = pod_of(one)["spec"]["containers"][0]["resources"]["limits"]
        assert limits.keys() == {"memory", "ephemeral-storage"}


@pytest.mark.parametrize("version", HELMS)
def test_cpu_limit_can_be_removed_for_one_group(version: str, tmp_path: Path) -> None:
    """Helm itself drops only a null that stands where the chart has a default."""
    change = put("workers.results.resources", {"limits": {"cpu": None}})
    for one in of_kind(rendered("scram", change, folder=tmp_path, version=version), "StatefulSet"):
        limits = pod_of(one)["spec"]["containers"][0]["resources"]["limits"]
        assert ("cpu" in limits) is not one["metadata"]["name"].endswith("-results")


@pytest.mark.parametrize("version", HELMS)
def test_groups_can_be_removed_by_a_later_values_file(version: str, tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier.yaml", tmp_path / "later.yaml"
    earlier.write_text("workers: {results: null, late: {stages: [resolve, orders, charge]}}", "utf-8")
    later.write_text("workers: {late: null, money: {stages: [resolve, orders, charge]}}", "utf-8")
    files = (argument for file in (values_file("scram"), earlier, later) for argument in ("-f", str(file)))
    done = run("template", "shop", str(CHART), *files, version=version)
    assert done.returncode == 0, done.stderr
    made = {one["metadata"]["name"] for one in of_kind(loaded(done.stdout), "StatefulSet")}
    assert made == {f"shop-paynotify-{name}" for name in ("omnikassa", "trustpayments", "nevogate", "money")}


def test_affinity_from_the_values_replaces_the_default(tmp_path: Path) -> None:
    own: Thing = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    for one in workloads(rendered("scram", put("pod.affinity", own), folder=tmp_path)):
        assert pod_of(one)["spec"]["affinity"] == own


def notes(*settings: str) -> str:
    done = subprocess.run(
        (helm(HELMS[0]), "install", "shop", str(CHART), "--dry-run=client", "-f", values_file("strimzi"), *settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )
    return done.stdout.partition("\nNOTES:\n")[2]


def test_notes_name_the_configured_hosts() -> None:
    assert "Providers call https://hooks.shop.example:" in notes()
    more = ("--set", "httpIngress.hosts={a.shop.example,b.shop.example}")
    assert "Providers call https://a.shop.example, https://b.shop.example, https://hooks.shop.example:" in notes(*more)
    neither = ("--set", "httpIngress.enabled=false,httpRoute.enabled=false")
    assert "Providers call Service pay-ingest:" in notes(*neither)


def test_notes_warn_if_prometheus_has_no_access() -> None:
    assert "networkPolicy.metricsFrom" not in notes()
    assert "networkPolicy.metricsFrom" in notes("--set-json", "networkPolicy.metricsFrom=[]")
