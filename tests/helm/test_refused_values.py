"""Mistakes in a values file that both Helm versions refuse before anything changes, naming the key and what is allowed.

Each case is a valid file with one mistake. Mistakes that the API server or the product refuse clearly are not here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.changes import Change, drop, put
from tests.helm.rendering import CHART, refusals, run, values_file


def defaults(values: Any, path: str = "") -> Iterator[str]:
    """Every key of values.yaml that may be left empty by mistake, such as ``state:`` with all its keys commented out,
    except those of the groups."""
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict) and path + key != "workers":
            yield from defaults(value, f"{path}{key}.")


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_NO_JOB = {"topics.manage": "strimzi"}

MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no image": (drop("image"), ("/image/repository",)),
    "tag as digest": (put("image.digest", "latest"), ("/image/digest", "sha256:")),
    "unknown pull policy": (put("image.pullPolicy", "Sometimes"), ("/image/pullPolicy", "'IfNotPresent'")),
    "misspelt key": (put("ingest.replica", 3), ("'/ingest/replica'", "the keys here are", "replicas")),
    "misspelt section": (put("worker", {}), ("'/worker'", "the keys here are", ", workers")),
    "text for a number": (put("ingest.replicas", "two"), ("/ingest/replicas", "want integer")),
    "text for a switch": (put("monitoring.dashboards", "yes"), ("/monitoring/dashboards", "want boolean")),
    "no brokers": (drop("configuration.kafka.bootstrap_servers"), ("/configuration/kafka/bootstrap_servers",)),
    "broker without port": (
        put("configuration.kafka.bootstrap_servers", "broker-1"),
        ("/configuration/kafka/bootstrap_servers", ":[1-9]"),
    ),
    "camelCase in the product's configuration": (
        put("configuration.worker.batchRecords", 5),
        ("'/configuration/worker/batchRecords'", "the keys here are batch_records"),
    ),
    "no merchant": (put("configuration.merchants", []), ("/configuration/merchants", "minItems")),
    "unknown provider": (put("configuration.merchants.0.provider", "rabo"), ("/provider", "'omnikassa'")),
    "key of another provider": (
        put("configuration.merchants.0.api_key", {}),
        ("'/configuration/merchants/0/api_key'", ", signing_keys"),
    ),
    "secret as {value: ...}": (
        put("configuration.merchants.0.refresh_token", {"value": "abc"}),
        ("/refresh_token/value'", "the keys here are existingSecret, key"),
    ),
    "secret as text": (
        put("configuration.merchants.1.password", "s3cr3t"),
        ("/password'", "{existingSecret: NAME, key: KEY}"),
    ),
    "Kafka password as text": (
        put("kafkaAccess.worker.password", "s3cr3t"),
        ("/kafkaAccess/worker/password'", "{existingSecret: NAME, key: KEY}"),
    ),
    "signing keys as text": (
        put("configuration.merchants.0.signing_keys", "s3cr3t"),
        ("/signing_keys'", "a list, such as [{existingSecret: NAME, key: KEY}]"),
    ),
    "certificate as text": (
        put("kafkaAccess.ca", "-----BEGIN CERTIFICATE-----"),
        ("'/kafkaAccess/ca'", "{existingSecret: NAME, key: KEY}"),
    ),
    "secret reference without key": (
        put("configuration.merchants.1.password", {"existingSecret": "shop-uk"}),
        ("/password", "'key'"),
    ),
    "four retry delays": (
        put("configuration.worker.retry_delays_seconds", [1, 2, 3, 4]),
        ("/retry_delays_seconds", "want 5"),
    ),
    "password without username": (
        drop("kafkaAccess.worker.username"),
        ("'/kafkaAccess/worker'", "{username: NAME, password: {existingSecret"),
    ),
    "certificate without privateKey": (
        put("kafkaAccess.worker.certificate", {"existingSecret": "a", "key": "tls.crt"}),
        ("'/kafkaAccess/worker'", "'privateKey' required"),
    ),
    "more pods than partitions": (put("workers.results.replicas", 5), ("workers.results.replicas", "at most 4")),
    "maxReplicas above the partitions, for all groups": (
        put("workerDefaults.autoscaling", {"enabled": True, "maxReplicas": 9}),
        ("workerDefaults.autoscaling.maxReplicas is 9", "at most 4"),
    ),
    "maxReplicas above the partitions, for one group": (
        put("workers.results.autoscaling", {"enabled": True, "maxReplicas": 9}),
        ("workers.results.autoscaling.maxReplicas is 9", "at most 4"),
    ),
    "stage in no group": (
        put("workers.results.stages", ["resolve", "orders"]),
        ("workers: no group runs charge", "Add each"),
    ),
    "stage in two groups": (
        put("workers.more", {"stages": ["resolve"]}),
        ("workers.more and workers.results", "exactly one group"),
    ),
    "unknown stage": (put("workers.results.stages", ["resolv"]), ("/workers/results/stages", "'resolve'")),
    "group with a reserved name": (
        lambda values: values.update(workers={"results": None, "topics": {"stages": ["resolve", "orders", "charge"]}}),
        ("'/workers/topics'", "another part of the chart"),
    ),
    "invalid quantity": (put("ingest.resources.limits", {"memory": "1 GB"}), ("/limits/memory", "Mi|Gi")),
    "strimzi without a cluster": (
        put("topics.manage", "strimzi"),
        ("'/strimzi/cluster'", "the name of the Kafka resource"),
    ),
    "Strimzi users with the topics job": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True}}),
        ("'/topics/manage'", "strimzi or none"),
    ),
    "external secrets without a store": (
        put("externalSecrets.enabled", True),
        ("'/externalSecrets/store'", "SecretStore"),
    ),
    "ingress without hosts": (put("httpIngress.enabled", True), ("'/httpIngress/hosts'", "hooks.shop.example")),
    "host with a scheme": (
        put("httpIngress", {"enabled": True, "hosts": ["https://hooks.shop.example"]}),
        ("/httpIngress/hosts/0",),
    ),
    "route without gateways": (put("httpRoute.enabled", True), ("'/httpRoute/parentRefs'", "the Gateways")),
    "misspelt provider in providerCIDRs": (
        put("networkPolicy.providerCIDRs", {"omnicassa": ["203.0.113.0/24"]}),
        ("'/networkPolicy/providerCIDRs/omnicassa'", "the keys here are nevogate, omnikassa, smartpay, trustpayments"),
    ),
    "upper-case group name": (
        put("workers.Results", {"stages": ["charge"]}),
        ("'/workers/Results'", "a name here matches ^[a-z]"),
    ),
    "lower-case currency": (
        put("configuration.merchants.2.charges.limits", {"eur": {"per_charge": 1, "per_reference": 1, "per_day": 1}}),
        ("'/configuration/merchants/2/charges/limits/eur'", "[A-Z]{3}"),
    ),
    "address instead of a CIDR": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.7"]}),
        ("/networkPolicy/providerCIDRs/omnikassa",),
    ),
    "runbook URL without https": (put("alerts.runbookURL", "runbooks"), ("/alerts/runbookURL", "https")),
    "tag in the repository": (
        put("image.repository", "images.shop.example/paynotify:1.0"),
        ("/image/repository", "images.shop.example"),
    ),
    "repository with a scheme": (
        put("image.repository", "https://images.shop.example/paynotify"),
        ("/image/repository", "https:"),
    ),
    "forgotten while it may be played again": (
        put("configuration.worker.retention", {"compress_after_days": 10, "delete_after_days": 30}),
        ("/configuration/worker/retention/delete_after_days", "100"),
    ),
    "memory without unit": (
        put("ingest.resources.limits", {"memory": 512}),
        ("'/ingest/resources/limits/memory'", "512Mi"),
    ),
    "memory unit for CPU": (
        put("ingest.resources.limits", {"cpu": "512Mi"}),
        ("'/ingest/resources/limits/cpu'", "m)$"),
    ),
    "millicores without unit": (
        put("workerDefaults.resources", {"limits": {"cpu": "2000"}}),
        ("'/workerDefaults/resources/limits/cpu'", "m)$"),
    ),
    "boolean for a quantity": (
        put("ingest.resources", {"limits": {"memory": True}}),
        ("'/ingest/resources/limits/memory': got boolean, want", "string", "integer"),
    ),
    "min_insync_replicas above replication_factor": (
        put("configuration.topics", {"replication_factor": 2, "min_insync_replicas": 3}),
        ("configuration.topics.min_insync_replicas is 3", "Set it to at most that"),
    ),
    "external Secret without keys": (
        put("externalSecrets", {"enabled": True, "store": {"name": "vault"}, "secrets": {"shop-nl": {}}}),
        ("'/externalSecrets/secrets/shop-nl': minProperties",),
    ),
    "broker port with a leading zero": (
        put("configuration.kafka.bootstrap_servers", "broker-1:09092"),
        ("/configuration/kafka/bootstrap_servers'", ":[1-9]"),
    ),
    "base URL with an address under Cilium": (
        put("configuration.merchants.2.base_url", "https://203.0.113.7:8443/v1", {"networkPolicy.cilium": True}),
        ("configuration.merchants[2].base_url is an address", "networkPolicy.providerCIDRs"),
    ),
    "share as percentage": (put("alerts.retryShare", 50), ("'/alerts/retryShare': maximum", "want 5")),
    "volume size without unit": (put("workerDefaults.state", {"size": 5}), ("'/workerDefaults/state/size'", "5Gi")),
    "autoscaling without a CPU request": (
        put("ingest.resources", {"requests": {"cpu": None}, "limits": {"cpu": None}}),
        ("'/ingest/resources/requests'", "cpu, by which ingest.autoscaling measures"),
    ),
    "provider stage without providers": (
        put("workers.more", {"stages": ["fetch"]}),
        ("'/workers/more'", "[omnikassa]"),
    ),
    "reserved label": (
        put("commonLabels", {"app.kubernetes.io/component": "money"}),
        ("'/commonLabels/app.kubernetes.io~1component'", "the chart sets it itself"),
    ),
    "label value with a blank": (put("commonLabels", {"team": "our payments"}), ("/commonLabels/team", "A-Za-z0-9")),
    "reserved annotation": (
        put("pod.annotations", {"checksum/configuration": "1"}),
        ("'/pod/annotations/checksum~1configuration'", "the chart sets it itself"),
    ),
    "misspelt key of a peer": (
        put("networkPolicy.brokers", [{"podSelecter": {}}]),
        ("/networkPolicy/brokers/0/podSelecter'", ", podSelector"),
    ),
    "misspelt key of an egress rule": (
        put("networkPolicy.extraEgress", [{"prots": []}]),
        ("/networkPolicy/extraEgress/0/prots'", "the keys here are ports, to"),
    ),
    "misspelt key of a toleration": (put("pod.tolerations", [{"kee": "a"}]), ("/pod/tolerations/0/kee'", ", key")),
    "misspelt kind of affinity": (
        put("pod.affinity", {"nodeAffinty": {}}),
        ("/pod/affinity/nodeAffinty'", "the keys here are nodeAffinity"),
    ),
    "misspelt key of an affinity": (
        put("pod.affinity", {"podAntiAffinity": {"requiredDuringScheduling": []}}),
        ("'/pod/affinity/podAntiAffinity/requiredDuringScheduling'", "requiredDuringSchedulingIgnoredDuringExecution"),
    ),
    "node terms without nodeSelectorTerms": (
        put("pod.affinity", {"nodeAffinity": {_REQUIRED: [{"matchExpressions": []}]}}),
        (f"'/pod/affinity/nodeAffinity/{_REQUIRED}'", "want object"),
    ),
    "pod anti-affinity without topologyKey": (
        put("pod.affinity", {"podAntiAffinity": {_REQUIRED: [{"labelSelector": {}}]}}),
        (f"'/pod/affinity/podAntiAffinity/{_REQUIRED}/0'", "'topologyKey'"),
    ),
    "CIDR with 33 bits": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.0/33"]}),
        ("/networkPolicy/providerCIDRs/omnikassa/0", "203.0.113.0/33"),
    ),
    "CIDR with a byte above 255": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.1130.0/24"]}),
        ("/networkPolicy/providerCIDRs/omnikassa/0", "203.0.1130.0/24"),
    ),
    "consumer named like a process": (
        put("strimzi", {"cluster": "m", "users": {"enabled": True, "consumers": ["shop-paynotify-worker"]}}, _NO_JOB),
        ("strimzi.users: shop-paynotify-worker", "Choose another"),
    ),
    "consumer whose prefix covers the workers' groups": (
        put(
            "strimzi",
            {"cluster": "m", "users": {"enabled": True, "consumers": ["erp", "prod"]}},
            {**_NO_JOB, "configuration.kafka.topic_prefix": "prod_"},
        ),
        ("strimzi.users.consumers[1] is prod", "prod_paynotify.*", "such as erp"),
    ),
    "consumer within the workers' groups": (
        put("strimzi", {"cluster": "m", "users": {"enabled": True, "consumers": ["paynotify.erp"]}}, _NO_JOB),
        ("strimzi.users.consumers[0] is paynotify.erp", "such as erp"),
    ),
    "certificate authority without TLS": (
        put("configuration.kafka.security_protocol", "SASL_PLAINTEXT"),
        ("'/kafkaAccess/ca'", "use SSL or SASL_SSL"),
    ),
    "certificate without TLS": (
        put(
            "kafkaAccess",
            {
                "worker": {
                    "certificate": {"existingSecret": "a", "key": "tls.crt"},
                    "privateKey": {"existingSecret": "a", "key": "tls.key"},
                }
            },
            {"configuration.kafka.security_protocol": "PLAINTEXT"},
        ),
        ("'/kafkaAccess/worker/certificate'", "use SSL or SASL_SSL"),
    ),
    "Strimzi certificates with SASL": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True, "authentication": "tls"}}, _NO_JOB),
        ("'/configuration/kafka/security_protocol'", "SSL, since strimzi.users.authentication"),
    ),
    "Strimzi passwords with another SASL mechanism": (
        put(
            "strimzi",
            {"cluster": "main", "users": {"enabled": True}},
            {**_NO_JOB, "configuration.kafka.sasl_mechanism": "PLAIN"},
        ),
        ("'/configuration/kafka/sasl_mechanism'", "SCRAM-SHA-512, since"),
    ),
    "invalid cluster name": (put("strimzi", {"cluster": "Main"}), ("/strimzi/cluster", "a-z0-9")),
    "name of 31 characters": (
        put("fullnameOverride", "payments-of-the-northern-region-a"),
        ("/fullnameOverride", "{0,28}"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_refused_by_key_and_with_what_is_allowed(mistake: str, tmp_path: Path) -> None:
    change, words = MISTAKES[mistake]
    for version, refused in refusals(change, tmp_path):
        for word in words:
            assert word in refused, f"{version} printed: {refused}"
        assert "s3cr3t" not in refused, f"{version} prints the secret"
        places = sorted(re.findall(r"at '(/[^']*)'", refused), key=len)
        assert all(places[-1].startswith(place) for place in places), f"{version} names other keys: {refused}"


def test_valid_file_is_not_refused(tmp_path: Path) -> None:
    values = yaml.safe_load(Path(values_file("scram")).read_text("utf-8"))
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(copy.deepcopy(values)), "utf-8")
    assert run("template", "shop", str(CHART), "-f", str(file)).returncode == 0


def test_release_name_too_long_is_refused() -> None:
    refused = run("template", "payments-of-the-northern-region", str(CHART), "-f", values_file("scram"))
    assert "Set fullnameOverride" in refused.stderr


@pytest.mark.parametrize("release", ["2004", "shop.nl", "1shop"])
def test_release_name_invalid_for_a_service_is_refused(release: str) -> None:
    refused = run("template", release, str(CHART), "-f", values_file("scram"))
    assert "Set fullnameOverride" in refused.stderr
    assert run("template", release, str(CHART), "-f", values_file("strimzi")).returncode == 0


NO_DEFAULTS = sorted(
    key
    for key in defaults(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))
    if key.startswith(("workerDefaults", "configuration.topics", "configuration.kafka.s", "networkPolicy.dns"))
)


@pytest.mark.parametrize("key", NO_DEFAULTS)
def test_empty_key_is_never_a_template_error(key: str, tmp_path: Path) -> None:
    values = yaml.safe_load(Path(values_file("strimzi")).read_text("utf-8"))
    put(key, None)(values)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    done = run("template", "shop", str(CHART), "-f", str(file))
    if done.returncode != 0:
        assert "specifications of the schema" in done.stderr or "execution error at" in done.stderr, done.stderr
        assert key.rpartition(".")[2] in done.stderr
