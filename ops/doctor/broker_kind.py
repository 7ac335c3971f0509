"""Names the brokers' kind and version, and what they lack of what paynotify needs.

Brokers tell neither: the kind is recognised by the cluster's id and the brokers' names, the version by the requests
that they understand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from kafka.protocol.api_key import ApiKey

from paynotify.ops.doctor.finding import Finding

Version: TypeAlias = tuple[int, ...]

#: Of Apache Kafka, on which the tests were run (docs/operations/kafka.md).
OLDEST: Final[Version] = (3, 7)
NEWEST: Final[Version] = (4, 3)
APACHE: Final = "Apache Kafka"

_PAGE: Final = "See docs/operations/kafka.md#supported-brokers."

#: Kinds by the cluster's id, and by a broker's host name.
_BY_CLUSTER_ID: Final = (("Redpanda", re.compile(r"redpanda\.")), ("WarpStream", re.compile(r"vci_")))
_BY_HOST: Final = (
    ("Amazon MSK Serverless", re.compile(r"\.kafka-serverless\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\Z")),
    ("Amazon MSK", re.compile(r"\.kafka\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\Z")),
    ("Azure Event Hubs", re.compile(r"\.servicebus\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)\Z")),
    ("Confluent Cloud", re.compile(r"\.confluent\.cloud\Z")),
    ("Redpanda", re.compile(r"\.(redpanda\.com|vectorized\.cloud)\Z")),
    ("WarpStream", re.compile(r"\.warpstream\.com\Z")),
)


@dataclass(frozen=True, slots=True)
class Need:
    """A request that brokers must understand, in a version that they must reach, and what is missing without it."""

    api: ApiKey
    version: int
    verdict: Literal["error", "warning"]
    without: str


NEEDS: Final = (
    Need(ApiKey.Produce, 3, "error", "headers of records, without which nothing can be stored"),
    Need(ApiKey.Fetch, 4, "error", "headers of records, without which nothing can be read"),
    Need(ApiKey.InitProducerId, 0, "error", "idempotent writes: a record could be stored twice or out of order"),
    Need(ApiKey.AddPartitionsToTxn, 0, "error", "transactions, by which a worker fences the former owner of a state"),
    Need(ApiKey.EndTxn, 0, "error", "the end of transactions, by which a worker fences the former owner of a state"),
    Need(ApiKey.JoinGroup, 5, "warning", "static membership (worker.group_instance_id): each restart rebalances"),
    Need(ApiKey.DescribeConfigs, 0, "warning", "the settings of topics: `paynotify topics` can't compare them"),
    Need(ApiKey.CreateTopics, 2, "warning", "creating topics: make those of docs/reference/topics.md by other means"),
    Need(ApiKey.IncrementalAlterConfigs, 0, "warning", "changes of topics' settings: `paynotify topics apply` can't"),
)


def kind_of(cluster_id: str, hosts: Collection[str]) -> str:
    """The brokers' kind; Apache Kafka if nothing says otherwise."""
    for kind, pattern in _BY_CLUSTER_ID:
        if pattern.match(cluster_id):
            return kind
    return next((kind for kind, pattern in _BY_HOST if any(map(pattern.search, hosts))), APACHE)


def lacking(api_versions: Mapping[int, tuple[int, int]]) -> list[Need]:
    """What brokers with these requests lack."""
    return [need for need in NEEDS if api_versions.get(need.api, (0, -1))[1] < need.version]


def described(kind: str, versions: Collection[Version]) -> Finding:
    """The finding for brokers of these versions; several during an upgrade."""
    named = " and ".join(".".join(map(str, one)) for one in sorted(versions))
    if kind != APACHE:
        return Finding(
            "brokers", "warning", f"{kind}, with the requests of Kafka {named}; paynotify was not tried on it", _PAGE
        )
    if min(versions) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding("brokers", "warning", f"{kind} {named} is older than {oldest}, the oldest tried", _PAGE)
    newer = " or newer" if max(versions) >= NEWEST else ""
    return Finding("brokers", "ok", f"{kind} {named}{newer}")


def check_kind(client: Any) -> Iterator[Finding]:
    """Name the brokers, and each thing that one of them lacks."""
    cluster = client.describe_cluster()
    brokers = [client.get_broker_version_data(broker["broker_id"]) for broker in cluster["brokers"]]
    kind = kind_of(str(cluster["cluster_id"]), [broker["host"] for broker in cluster["brokers"]])
    yield described(kind, {broker.broker_version for broker in brokers})
    missing = dict.fromkeys(need for broker in brokers for need in lacking(broker.api_versions))
    yield from (
        Finding("brokers", need.verdict, f"they lack {need.without} ({need.api.name})", _PAGE) for need in missing
    )
