"""Compares the cluster's topics with the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterError, ClusterUnavailableError, MissingTopicsError
from paynotify.service.kafka_client import client_settings, opened, unreachable

_CONNECT_MILLISECONDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class PresentTopic:
    """A topic as it exists on the cluster."""

    partitions: int
    replication_factor: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One difference between a topic and the configuration. If ``fixable``, ``topics apply`` can change it."""

    topic: str
    what: str
    wanted: str
    present: str
    fixable: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.present}, wanted {self.wanted}"


@contextmanager
def admin(configuration: Configuration) -> Iterator[Any]:
    """An admin client of kafka-python, closed at the end of the block.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request.
    """
    servers = configuration.kafka.bootstrap_servers
    settings = {
        **client_settings(configuration.kafka, "paynotify-admin"),
        "bootstrap_timeout_ms": _CONNECT_MILLISECONDS,
        "request_timeout_ms": _CONNECT_MILLISECONDS,
    }
    try:
        client = opened(KafkaAdminClient, settings)
    except (KafkaError, OSError, ValueError) as error:
        raise unreachable(servers, error) from None
    try:
        yield client
    except KafkaError as error:
        raise ClusterUnavailableError(
            f"The Kafka cluster at {servers} refused a request ({type(error).__name__}). "
            "Check that its brokers are healthy and that this user may describe and change topics."
        ) from None
    finally:
        client.close()


def present_topics(
    client: Any, names: Iterable[str], setting_names: Mapping[str, Iterable[str]]
) -> dict[str, PresentTopic]:
    """The named topics that exist, with the current values of the named settings."""
    existing = set(client.list_topics()) & set(names)
    if not existing:
        return {}
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(setting_names.get(name, ())) or None)
        for name in sorted(existing)
    ]
    settings = client.describe_configs(resources, config_filter="all").get("topic", {})
    found = {}
    for topic in client.describe_topics(sorted(existing)):
        partitions = topic["partitions"]
        values = {key: str(value["value"]) for key, value in settings.get(topic["name"], {}).items()}
        found[topic["name"]] = PresentTopic(len(partitions), len(partitions[0]["replica_nodes"]), values)
    return found


def wanted_settings(configuration: Configuration) -> dict[str, dict[str, str]]:
    """The configured settings of every topic, by its name on the cluster."""
    minimum = configuration.topics.minimum_insync()
    return {
        # a topic with fewer replicas than min.insync.replicas would accept no record at all
        name: {"min.insync.replicas": str(min(minimum, replication_factor)), **topic.kafka_settings()}
        for name, (topic, _, replication_factor) in configuration.wanted_topics().items()
    }


def missing(configuration: Configuration, present: Mapping[str, PresentTopic]) -> list[str]:
    """The configured topics that do not exist."""
    return [name for name in configuration.wanted_topics() if name not in present]


def differences(configuration: Configuration, present: Mapping[str, PresentTopic]) -> list[TopicDifference]:
    """How the existing topics differ from the configuration."""
    found: list[TopicDifference] = []
    settings = wanted_settings(configuration)
    for name, (_, partitions, replication_factor) in configuration.wanted_topics().items():
        topic = present.get(name)
        if topic is None:
            continue
        if topic.partitions != partitions:
            found.append(TopicDifference(name, "partitions", str(partitions), str(topic.partitions), fixable=False))
        if topic.replication_factor != replication_factor:
            found.append(
                TopicDifference(
                    name, "replication factor", str(replication_factor), str(topic.replication_factor), fixable=False
                )
            )
        found.extend(
            TopicDifference(name, key, value, topic.settings.get(key, "unset"), fixable=True)
            for key, value in settings[name].items()
            if topic.settings.get(key) != value
        )
    return found


def inspect_topics(configuration: Configuration, client: Any) -> dict[str, PresentTopic]:
    """The configured topics as they exist on the cluster."""
    return present_topics(client, configuration.wanted_topics(), wanted_settings(configuration))


def check(configuration: Configuration) -> None:
    """Check that a process can work on this cluster.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request.
        MissingTopicsError: a topic of the configuration does not exist.
        ClusterError: a topic has another number of partitions than the configuration says.
    """
    with admin(configuration) as client:
        present = inspect_topics(configuration, client)
    _refuse_missing(configuration, missing(configuration, present))
    for difference in differences(configuration, present):
        if difference.what == "partitions":
            raise ClusterError(
                f"{difference}. Another number would move keys to other partitions, away from their state. Set the "
                "topic's number in the configuration (topics.partitions or topics.overrides), or move to new topics."
            )


def check_present(configuration: Configuration, names: Iterable[str]) -> None:
    """Check that these topics are there, for a process whose user may see no others.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request.
        MissingTopicsError: one of them does not exist, or the user has no right to see it.
    """
    with admin(configuration) as client:
        present = set(client.list_topics())
    _refuse_missing(configuration, [name for name in names if name not in present])


def _refuse_missing(configuration: Configuration, absent: list[str]) -> None:
    if absent:
        raise MissingTopicsError(
            f"{len(absent)} topics are missing at {configuration.kafka.bootstrap_servers}, "
            f"{absent[0]} among them. Create them with `paynotify topics apply`."
        )
