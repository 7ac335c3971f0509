"""The ``kafka`` and ``topics`` sections of the configuration: how to reach the cluster, and how topics are created."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.configuration.secrets import SecretRef
from schemas.configuration.sections import Count, Section


class KafkaSettings(Section, frozen=True):
    """How to reach the cluster. Security settings have the names of the kafka-python client."""

    bootstrap_servers: Annotated[str, Meta(min_length=1)] = "localhost:9092"
    """Brokers to connect to first, as `HOST:PORT`, separated by commas."""
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,100}\Z")] = ""
    """Prefix of the names of all topics, consumer groups and transactional ids: installations can share a cluster."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether connections use TLS and SASL."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """Required for a SASL protocol."""
    sasl_plain_username: str | None = None
    """The SASL user, for every mechanism."""
    sasl_plain_password: SecretRef | None = None
    """The SASL user's password. A changed file is used for new connections without a restart."""
    ssl_cafile: str | None = None
    """PEM file of the authorities that the brokers' certificates must be signed by (default: the system's)."""
    ssl_certfile: str | None = None
    """PEM file of this client's certificate, for mutual TLS."""
    ssl_keyfile: str | None = None
    """PEM file of the certificate's private key, if it is not in `ssl_certfile`."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must name the host that was connected to."""

    def __post_init__(self) -> None:
        sasl = (self.sasl_mechanism, self.sasl_plain_username, self.sasl_plain_password)
        if self.security_protocol.startswith("SASL_"):
            if None in sasl:
                raise ValueError(
                    f"{self.security_protocol} needs sasl_mechanism, sasl_plain_username and sasl_plain_password"
                )
        elif any(sasl):
            # the clients differ: one would leave the password out, another send it without TLS
            raise ValueError("sasl settings need security_protocol SASL_SSL or SASL_PLAINTEXT")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile needs ssl_certfile")

    def topic(self, name: str) -> str:
        """A topic's name on this cluster."""
        return self.topic_prefix + name


class TopicOverride(Section, frozen=True):
    """Settings of one topic that differ from the defaults."""

    partitions: Count | None = None
    """Number of partitions. A topic that follows another (see docs/topics.md) has as many as that one."""
    replication_factor: Count | None = None
    """Number of replicas."""
    retention_seconds: Count | None = None
    """How long records are retained."""
    settings: dict[str, str] = msgspec.field(default_factory=dict)
    """Further topic settings by Kafka's own names, such as `segment.bytes`."""


class TopicSettings(Section, frozen=True):
    """Partitions and replication of the topics that `paynotify topics apply` creates."""

    partitions: Count = 4
    """Number of partitions of every topic. It can't be changed once topics exist: keys would move."""
    replication_factor: Count = 3
    """Number of replicas of every topic."""
    min_insync_replicas: Count | None = None
    """`min.insync.replicas` of every topic (default: one less than its replicas, at least one)."""
    overrides: dict[str, TopicOverride] = msgspec.field(default_factory=dict)
    """Other settings for single topics, by the topic's name without the prefix."""

    def minimum_insync(self) -> int:
        """``min.insync.replicas``: what is configured, else one less than the replicas (at least one)."""
        return self.min_insync_replicas or max(1, self.replication_factor - 1)
