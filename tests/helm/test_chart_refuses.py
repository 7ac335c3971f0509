"""Mistakes a person would make in a values file: each is refused before anything changes, by the key's name and with
what is allowed, by both helms. Each file here is a working one with one mistake."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.helm.rendering import CHART, run, values_file
from tests.helm.tools import HELMS

Change = Callable[[Any], None]


def put(path: str, value: Any, besides: Mapping[str, Any] = MappingProxyType({})) -> Change:
    """Set one key, and others besides; a number in the path is a place in a list."""

    def change(values: Any) -> None:
        for other, its in besides.items():
            put(other, its)(values)
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


def defaults(values: Any, path: str = "") -> Iterator[str]:
    """Every key of the chart's own values that a person may leave empty by mistake, as ``state:`` with all of it
    commented out. A group's keys are its own."""
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict) and path + key != "workers":
            yield from defaults(value, f"{path}{key}.")


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NO_JOB = {"topics.manage": "strimzi"}
_NO_BASE = ("configuration.merchants[0].base_url", "scheme, host and path only")

MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no image": (drop("image"), ("/image/repository",)),
    "tag within the repository's digest": (put("image.digest", "latest"), ("/image/digest", "sha256:")),
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
    "camel case in the product's part": (
        put("configuration.worker.batchRecords", 5),
        ("'/configuration/worker/batchRecords'", "the keys here are batch_records"),
    ),
    "no merchant": (put("configuration.merchants", []), ("/configuration/merchants", "minItems")),
    "unknown provider": (put("configuration.merchants.0.provider", "rabo"), ("/provider", "'omnikassa'")),
    "another provider's key": (
        put("configuration.merchants.0.api_key", {}),
        ("'/configuration/merchants/0/api_key'", ", signing_keys"),
    ),
    "a secret in the open": (
        put("configuration.merchants.0.refresh_token", {"value": "abc"}),
        ("/refresh_token/value'", "the keys here are existingSecret, key"),
    ),
    "a secret as text": (
        put("configuration.merchants.1.password", "s3cr3t"),
        ("/password'", "{existingSecret: NAME, key: KEY}"),
    ),
    "a user's password as text": (
        put("kafkaAccess.worker.password", "s3cr3t"),
        ("/kafkaAccess/worker/password'", "{existingSecret: NAME, key: KEY}"),
    ),
    "keys as text": (
        put("configuration.merchants.0.signing_keys", "s3cr3t"),
        ("/signing_keys'", "a list, such as [{existingSecret: NAME, key: KEY}]"),
    ),
    "a certificate as text": (
        put("kafkaAccess.ca", "-----BEGIN CERTIFICATE-----"),
        ("'/kafkaAccess/ca'", "{existingSecret: NAME, key: KEY}"),
    ),
    "a secret without its key": (
        put("configuration.merchants.1.password", {"existingSecret": "shop-uk"}),
        ("/password", "'key'"),
    ),
    "the same merchant twice": (
        put("configuration.merchants.1.id", "shop-nl"),
        ("configuration.merchants[1].id", "must differ"),
    ),
    "http": (
        put("configuration.merchants.2.base_url", "http://gateway.example"),
        ("configuration.merchants[2].base_url", "Use https"),
    ),
    "four retry delays": (
        put("configuration.worker.retry_delays_seconds", [1, 2, 3, 4]),
        ("/retry_delays_seconds", "want 5"),
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
        put("configuration.kafka.security_protocol", "SSL"),
        ("kafkaAccess.ingest", "Set it to SASL_SSL"),
    ),
    "certificate without a key": (
        put("kafkaAccess.worker.certificate", {"existingSecret": "a", "key": "tls.crt"}),
        ("kafkaAccess.worker", "Give both or none"),
    ),
    "more pods than partitions": (put("workers.results.replicas", 5), ("workers.results.replicas", "at most 4")),
    "scaling beyond the partitions": (
        put("workerDefaults.autoscaling", {"enabled": True, "maxReplicas": 9}),
        ("workerDefaults.autoscaling.maxReplicas is 9", "at most 4"),
    ),
    "one group's scaling beyond the partitions": (
        put("workers.results.autoscaling", {"enabled": True, "maxReplicas": 9}),
        ("workers.results.autoscaling.maxReplicas is 9", "at most 4"),
    ),
    "fewest above most, of all groups": (
        put("workerDefaults.autoscaling", {"enabled": True, "minReplicas": 3}),
        ("workerDefaults.autoscaling.minReplicas is 3", "at most that"),
    ),
    "a stage nobody runs": (
        put("workers.results.stages", ["resolve", "orders"]),
        ("workers: no group runs charge", "Add each"),
    ),
    "a stage in two groups": (
        put("workers.more", {"stages": ["resolve"]}),
        ("workers.more and workers.results", "exactly one group"),
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
        put("ingest.autoscaling.minReplicas", 9),
        ("ingest.autoscaling.minReplicas", "at most that"),
    ),
    "strimzi without its cluster": (put("topics.manage", "strimzi"), ("strimzi.cluster", "Set it to")),
    "users that come after the job": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True}}),
        ("topics.manage", "strimzi or none"),
    ),
    "external secrets from nowhere": (
        put("externalSecrets.enabled", True),
        ("externalSecrets.store.name", "SecretStore"),
    ),
    "an ingress without hosts": (put("httpIngress.enabled", True), ("httpIngress.hosts", "hooks.shop.example")),
    "a host with its scheme": (
        put("httpIngress", {"enabled": True, "hosts": ["https://hooks.shop.example"]}),
        ("/httpIngress/hosts/0",),
    ),
    "a route without gateways": (put("httpRoute.enabled", True), ("httpRoute.parentRefs", "Name the Gateways")),
    "a provider's misspelt addresses": (
        put("networkPolicy.providerCIDRs", {"omnicassa": ["203.0.113.0/24"]}),
        ("'/networkPolicy/providerCIDRs/omnicassa'", "the keys here are nevogate, omnikassa, trustpayments"),
    ),
    "a group's name with a capital": (
        put("workers.Results", {"stages": ["charge"]}),
        ("'/workers/Results'", "a name here matches ^[a-z]"),
    ),
    "a currency in small letters": (
        put("configuration.merchants.2.charges.limits", {"eur": {"per_charge": 1, "per_reference": 1, "per_day": 1}}),
        ("'/configuration/merchants/2/charges/limits/eur'", "[A-Z]{3}"),
    ),
    "an address that is no CIDR": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.7"]}),
        ("/networkPolicy/providerCIDRs/omnikassa",),
    ),
    "an alert before the restart": (
        put("alerts.stallSeconds", 60),
        ("alerts.stallSeconds", "must be longer than"),
    ),
    "a runbook without https": (put("alerts.runbookURL", "runbooks"), ("/alerts/runbookURL", "https")),
    "the tag within the repository": (
        put("image.repository", "images.shop.example/paynotify:1.0"),
        ("/image/repository", "images.shop.example"),
    ),
    "a repository with its scheme": (
        put("image.repository", "https://images.shop.example/paynotify"),
        ("/image/repository", "https:"),
    ),
    "a port that is none": (
        put("configuration.kafka.bootstrap_servers", "broker-1:90920"),
        ("configuration.kafka.bootstrap_servers", "1 to 65535"),
    ),
    "a base URL without a host": (put("configuration.merchants.0.base_url", "https:///v1"), _NO_BASE),
    "a base URL with a query": (put("configuration.merchants.0.base_url", "https://provider.example/?a=b"), _NO_BASE),
    "a base URL with a user": (put("configuration.merchants.0.base_url", "https://a:b@provider.example"), _NO_BASE),
    "a base URL with a blank": (put("configuration.merchants.0.base_url", "https://provider.example/a b"), _NO_BASE),
    "a base URL's port that is none": (
        put("configuration.merchants.0.base_url", "https://provider.example:84430"),
        _NO_BASE,
    ),
    "a public URL with a fragment": (
        put("configuration.merchants.2.charges.public_url", "https://hooks.shop.example#a"),
        ("configuration.merchants[2].charges.public_url", "scheme, host and path only"),
    ),
    "retries that get shorter": (
        put("configuration.worker.retry_delays_seconds", [5, 30, 20, 600, 3600]),
        ("configuration.worker.retry_delays_seconds has 20 after 30", "do not get shorter"),
    ),
    "looks in the wrong order": (
        put("configuration.worker.overdue", {"poll_schedule_seconds": {"omnikassa": [3600, 300]}}),
        ("configuration.worker.overdue.poll_schedule_seconds.omnikassa", "do not get shorter"),
    ),
    "too many looks": (
        put("configuration.worker.overdue", {"poll_schedule_seconds": {"omnikassa": list(range(1, 22))}}),
        ("configuration.worker.overdue.poll_schedule_seconds.omnikassa", "at most 20"),
    ),
    "no look at a charge": (
        put("configuration.merchants.2.charges.poll_schedule_seconds", []),
        ("configuration.merchants[2].charges.poll_schedule_seconds is empty", "1 to 20 times"),
    ),
    "forgotten before it is closed": (
        put("configuration.worker.retention", {"compress_after_days": 4000}),
        ("configuration.worker.retention.delete_after_days is 3650", "longer than compress_after_days, 4000"),
    ),
    "forgotten while it may be played again": (
        put("configuration.worker.retention", {"compress_after_days": 10, "delete_after_days": 30}),
        ("/configuration/worker/retention/delete_after_days", "100"),
    ),
    "megabytes without their unit": (
        put("ingest.resources", {"requests": {"memory": 256}, "limits": {"memory": 512}}),
        ("ingest.resources.limits.memory is 512", "512Mi"),
    ),
    "less ephemeral storage than /tmp may fill": (
        put("ingest.resources", {"limits": {"ephemeral-storage": "32Mi"}, "requests": {"ephemeral-storage": "16Mi"}}),
        ("ingest.resources.limits.ephemeral-storage is 32Mi", "512Mi"),
    ),
    "megabytes of CPU": (put("ingest.resources.limits", {"cpu": "512Mi"}), ("'/ingest/resources/limits/cpu'", "m?$")),
    "thousandths of a CPU without their unit": (
        put("workerDefaults.resources", {"limits": {"cpu": "2000"}, "requests": {"cpu": 500}}),
        ("workerDefaults.resources.limits.cpu is 2000", "500m"),
    ),
    "an amount of neither kind": (
        put("ingest.resources", {"limits": {"memory": True}}),
        ("'/ingest/resources/limits/memory': got boolean, want", "string", "integer"),
    ),
    "more in sync than there are": (
        put("configuration.topics", {"replication_factor": 2, "min_insync_replicas": 3}),
        ("configuration.topics.min_insync_replicas is 3", "Set it to at most that"),
    ),
    "a Secret of nothing": (
        put("externalSecrets", {"enabled": True, "store": {"name": "vault"}, "secrets": {"shop-nl": {}}}),
        ("'/externalSecrets/secrets/shop-nl': minProperties",),
    ),
    "a broker's port with a nought before it": (
        put("configuration.kafka.bootstrap_servers", "broker-1:09092"),
        ("/configuration/kafka/bootstrap_servers'", ":[1-9]"),
    ),
    "an address where Cilium goes by names": (
        put("configuration.merchants.2.base_url", "https://203.0.113.7:8443/v1", {"networkPolicy.cilium": True}),
        ("configuration.merchants[2].base_url is an address", "networkPolicy.providerCIDRs"),
    ),
    "an empty base URL": (
        put("configuration.merchants.1.webservices_url", ""),
        ('configuration.merchants[1].webservices_url is ""', "Use https"),
    ),
    "a share in percent": (put("alerts.retryShare", 50), ("'/alerts/retryShare': maximum", "want 5")),
    "a volume of five bytes": (put("workerDefaults.state", {"size": 5}), ("workerDefaults.state.size is 5", "5Gi")),
    "scaling by a CPU that nobody asked for": (
        put("ingest.resources", {"requests": {"cpu": None}, "limits": {"cpu": None}}),
        ("ingest.resources.requests.cpu", "ingest.autoscaling.enabled: false"),
    ),
    "a group that forgot its providers": (
        put("workers.more", {"stages": ["fetch"]}),
        ("workers.more.providers is missing", "[omnikassa]"),
    ),
    "a label of the chart's own": (
        put("commonLabels", {"app.kubernetes.io/component": "money"}),
        ("commonLabels.app.kubernetes.io/component", "example.com/component"),
    ),
    "a label with a blank": (put("commonLabels", {"team": "our payments"}), ("/commonLabels/team", "A-Za-z0-9")),
    "an annotation of the chart's own": (
        put("pod.annotations", {"checksum/configuration": "1"}),
        ("pod.annotations.checksum/configuration", "Leave it"),
    ),
    "a secret that the store is not asked for": (
        put(
            "externalSecrets",
            {
                "enabled": True,
                "store": {"name": "vault"},
                "secrets": {"shop-nl": {"signing-key": {"remoteKey": "shops/nl"}}},
            },
        ),
        (
            "externalSecrets.secrets.shop-nl has no key refresh-token",
            "configuration.merchants[0].refresh_token",
            "it has signing-key",
        ),
    ),
    "a peer's misspelt key": (
        put("networkPolicy.brokers", [{"podSelecter": {}}]),
        ("/networkPolicy/brokers/0/podSelecter'", ", podSelector"),
    ),
    "an egress rule's misspelt key": (
        put("networkPolicy.extraEgress", [{"prots": []}]),
        ("/networkPolicy/extraEgress/0/prots'", "the keys here are ports, to"),
    ),
    "a peer that is nobody": (
        put("networkPolicy.ingressFrom", [{}]),
        ("networkPolicy.ingressFrom[0] is empty", "ipBlock"),
    ),
    "a peer of addresses and of pods": (
        put("networkPolicy.metricsFrom", [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]),
        ("networkPolicy.metricsFrom[0]", "two entries"),
    ),
    "a peer whose label has no values": (
        put("networkPolicy.brokers", [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}]),
        ("networkPolicy.brokers[0].podSelector.matchExpressions[0]", "at least one"),
    ),
    "a peer whose label has values that nobody compares": (
        put(
            "networkPolicy.dns",
            [{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": ["b"]}]}}],
        ),
        ("networkPolicy.dns[0].namespaceSelector.matchExpressions[0]", "no values"),
    ),
    "a port in quotes": (
        put("networkPolicy.extraEgress", [{"ports": [{"port": "443"}]}]),
        ('networkPolicy.extraEgress[0].ports[0].port is "443"', "without quotes"),
    ),
    "ports that end before they begin": (
        put("networkPolicy.extraEgress", [{"ports": [{"port": 9100, "endPort": 9000}]}]),
        ("networkPolicy.extraEgress[0].ports[0].endPort is 9000", "at least as large"),
    ),
    "ports that begin nowhere": (
        put("networkPolicy.extraEgress", [{"ports": [{"endPort": 9000}]}]),
        ("networkPolicy.extraEgress[0].ports[0].endPort", "Give port"),
    ),
    "a CIDR with a colon too many": (
        put("networkPolicy.providerCIDRs", {"nevogate": ["2001:db8:::/32"]}),
        ("networkPolicy.providerCIDRs.nevogate[0] is 2001:db8:::/32", "2001:db8::/32"),
    ),
    "a CIDR with a group too few": (
        put("networkPolicy.brokers", [{"ipBlock": {"cidr": "2001:db8:0:0:0:0:0/64"}}]),
        ("networkPolicy.brokers[0].ipBlock.cidr is 2001:db8:0:0:0:0:0/64", "2001:db8::/32"),
    ),
    "a CIDR of one address within it": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.7/20"]}),
        ("networkPolicy.providerCIDRs.omnikassa[0] is 203.0.113.7/20", "Give 203.0.112.0/20", "or 203.0.113.7/32"),
    ),
    "a long CIDR of one address within it": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["2001:db8::7/65"]}),
        ("networkPolicy.providerCIDRs.omnikassa[0] is 2001:db8::7/65", "Give 2001:db8:0:0:0:0:0:0/65"),
    ),
    "an exception from what is not there": (
        put(
            "networkPolicy.brokers", [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "192.168.0.0/16"]}}]
        ),
        ("networkPolicy.brokers[0].ipBlock.except[1] is 192.168.0.0/16", "no part of 10.0.0.0/8"),
    ),
    "an exception of all there is": (
        put("networkPolicy.brokers", [{"ipBlock": {"cidr": "fd00::/8", "except": ["fd00::/8"]}}]),
        ("networkPolicy.brokers[0].ipBlock.except[0] is fd00::/8", "a smaller range"),
    ),
    "a toleration's misspelt key": (put("pod.tolerations", [{"kee": "a"}]), ("/pod/tolerations/0/kee'", ", key")),
    "an affinity that is none": (
        put("pod.affinity", {"nodeAffinty": {}}),
        ("/pod/affinity/nodeAffinty'", "the keys here are nodeAffinity"),
    ),
    "an affinity's misspelt key": (
        put("pod.affinity", {"podAntiAffinity": {"requiredDuringScheduling": []}}),
        ("'/pod/affinity/podAntiAffinity/requiredDuringScheduling'", "requiredDuringSchedulingIgnoredDuringExecution"),
    ),
    "node terms without nodeSelectorTerms": (
        put("pod.affinity", {"nodeAffinity": {_REQUIRED: [{"matchExpressions": []}]}}),
        (f"'/pod/affinity/nodeAffinity/{_REQUIRED}'", "want object"),
    ),
    "pods apart without a topology": (
        put("pod.affinity", {"podAntiAffinity": {_REQUIRED: [{"labelSelector": {}}]}}),
        (f"'/pod/affinity/podAntiAffinity/{_REQUIRED}/0'", "'topologyKey'"),
    ),
    "nodes whose label is compared with nothing": (
        put(
            "pod.affinity",
            {
                "nodeAffinity": {
                    _REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In"}]}]}
                }
            },
        ),
        (f"pod.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]", "at least one"),
    ),
    "nodes with more than many": (
        put(
            "pod.affinity",
            {
                "nodeAffinity": {
                    _PREFERRED: [
                        {
                            "weight": 1,
                            "preference": {
                                "matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["many"]}]
                            },
                        }
                    ]
                }
            },
        ),
        (f"pod.affinity.nodeAffinity.{_PREFERRED}[0].preference.matchExpressions[0]", "one number"),
    ),
    "pods together by a label without values": (
        put(
            "pod.affinity",
            {
                "podAffinity": {
                    _PREFERRED: [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "zone",
                                "labelSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn"}]},
                            },
                        }
                    ]
                }
            },
        ),
        (f"pod.affinity.podAffinity.{_PREFERRED}[0].podAffinityTerm.labelSelector.matchExpressions[0]", "at least one"),
    ),
    "a toleration of nothing": (put("pod.tolerations", [{"effect": "NoSchedule"}]), ("pod.tolerations[0]", "Exists")),
    "a toleration of a value that is not compared": (
        put("pod.tolerations", [{"key": "a", "operator": "Exists", "value": "b"}]),
        ("pod.tolerations[0]", "Equal"),
    ),
    "a toleration for a while of what evicts nobody": (
        put("pod.tolerations", [{"key": "a", "operator": "Exists", "tolerationSeconds": 0}]),
        ("pod.tolerations[0] has tolerationSeconds", "NoExecute"),
    ),
    "a CIDR too long": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.113.0/33"]}),
        ("/networkPolicy/providerCIDRs/omnikassa/0", "203.0.113.0/33"),
    ),
    "a CIDR with a byte too large": (
        put("networkPolicy.providerCIDRs", {"omnikassa": ["203.0.1130.0/24"]}),
        ("/networkPolicy/providerCIDRs/omnikassa/0", "203.0.1130.0/24"),
    ),
    "a shop with a process's name": (
        put("strimzi", {"cluster": "m", "users": {"enabled": True, "consumers": ["shop-paynotify-worker"]}}, _NO_JOB),
        ("strimzi.users: shop-paynotify-worker", "Choose another"),
    ),
    "a consumer whose groups are the workers'": (
        put(
            "strimzi",
            {"cluster": "m", "users": {"enabled": True, "consumers": ["erp", "prod"]}},
            {**_NO_JOB, "configuration.kafka.topic_prefix": "prod_"},
        ),
        ("strimzi.users.consumers[1] is prod", "prod_paynotify.*", "such as erp"),
    ),
    "a consumer within the workers' groups": (
        put("strimzi", {"cluster": "m", "users": {"enabled": True, "consumers": ["paynotify.erp"]}}, _NO_JOB),
        ("strimzi.users.consumers[0] is paynotify.erp", "such as erp"),
    ),
    "a certificate authority without TLS": (
        put("configuration.kafka.security_protocol", "SASL_PLAINTEXT"),
        ("kafkaAccess.ca is given", "Set it to SASL_SSL"),
    ),
    "a certificate without TLS": (
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
        ("kafkaAccess.worker.certificate is given", "Set it to SSL"),
    ),
    "certificates for users who have passwords": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True, "authentication": "tls"}}, _NO_JOB),
        ("strimzi.users.authentication is tls", "security_protocol to SSL"),
    ),
    "passwords for users of another mechanism": (
        put(
            "strimzi",
            {"cluster": "main", "users": {"enabled": True}},
            {**_NO_JOB, "configuration.kafka.sasl_mechanism": "PLAIN"},
        ),
        ("strimzi.users.authentication is scram-sha-512", "sasl_mechanism to SCRAM-SHA-512"),
    ),
    "a user that Strimzi does not make": (
        put("strimzi", {"cluster": "main", "users": {"enabled": True}}, _NO_JOB),
        ("kafkaAccess.ingest.username is paynotify-ingest", "makes shop-paynotify-ingest"),
    ),
    "a cluster's name that is none": (put("strimzi", {"cluster": "Main"}), ("/strimzi/cluster", "a-z0-9")),
    "a name too long": (put("fullnameOverride", "payments-of-the-northern-region-a"), ("/fullnameOverride", "{0,28}")),
}


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
        assert "s3cr3t" not in refused.stderr, f"{version} tells the secret"
        places = sorted(re.findall(r"at '(/[^']*)'", refused.stderr), key=len)
        assert all(places[-1].startswith(place) for place in places), f"{version} names other keys: {refused.stderr}"


def test_the_working_file_is_not_refused(tmp_path: Path) -> None:
    values = yaml.safe_load(Path(values_file("scram")).read_text("utf-8"))
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(copy.deepcopy(values)), "utf-8")
    assert run("template", "shop", str(CHART), "-f", str(file)).returncode == 0


def test_a_long_release_is_told_to_choose_a_shorter_name() -> None:
    refused = run("template", "payments-of-the-northern-region", str(CHART), "-f", values_file("scram"))
    assert "Set fullnameOverride" in refused.stderr


@pytest.mark.parametrize("release", ["2004", "shop.nl", "1shop"])
def test_a_release_whose_name_no_service_may_have_is_told_to_choose_another(release: str) -> None:
    refused = run("template", release, str(CHART), "-f", values_file("scram"))
    assert "Set fullnameOverride" in refused.stderr
    assert run("template", release, str(CHART), "-f", values_file("strimzi")).returncode == 0


NO_DEFAULTS = sorted(
    key
    for key in defaults(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))
    if key.startswith(("workerDefaults", "configuration.topics", "configuration.kafka.s", "networkPolicy.dns"))
)


@pytest.mark.parametrize("key", NO_DEFAULTS)
def test_a_key_that_is_left_empty_is_no_error_of_a_template(key: str, tmp_path: Path) -> None:
    values = yaml.safe_load(Path(values_file("strimzi")).read_text("utf-8"))
    put(key, None)(values)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    done = run("template", "shop", str(CHART), "-f", str(file))
    if done.returncode != 0:
        assert "specifications of the schema" in done.stderr or "execution error at" in done.stderr, done.stderr
        assert key.rpartition(".")[2] in done.stderr
