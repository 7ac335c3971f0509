"""The ``kafka`` and ``topics`` sections of the configuration: how to reach the cluster, and how topics are created."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from paynotify.schemas.configuration.events import EventSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count, Section

#: As RFC 7628 has them: they are separated by a control character, which must not be in them.
_EXTENSION_NAME: Final = re.compile(r"[A-Za-z]+\Z")
_EXTENSION_VALUE: Final = re.compile(r"[\x21-\x7e \t\r\n]+\Z")


class OAuthSettings(Section, frozen=True):
    """Where the token for `OAUTHBEARER` comes from: one of `token_endpoint`, `token_file` and `aws_region`."""

    token_endpoint: str | None = None
    """URL of an OIDC token endpoint, which is asked with the client credentials before each token expires."""
    client_id: str | None = None
    """The client's id at the token endpoint."""
    client_secret: SecretRef | None = None
    """The client's secret at the token endpoint. A changed file is used for the next token without a restart."""
    scope: str | None = None
    """Scope to ask the token endpoint for, if it needs one."""
    ca_file: str | None = None
    """PEM file of the authorities that the token endpoint's certificate must be signed by (default: the system's)."""
    token_file: str | None = None
    """File with the token, such as one that Kubernetes projects and renews. It is read again for each connection."""
    aws_region: str | None = None
    """Region of an Amazon MSK cluster with IAM; the tokens are signed with the process's AWS credentials. Needs
    `pip install paynotify[msk]`."""
    extensions: dict[str, str] = msgspec.field(default_factory=dict)
    """SASL extensions to send with the token, such as Confluent's `logicalCluster`."""

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.token_endpoint, self.token_file, self.aws_region)) != 1:
            raise ValueError("sasl_oauth needs exactly one of token_endpoint, token_file and aws_region")
        credentials = (self.client_id, self.client_secret)
        if self.token_endpoint is not None and None in credentials:
            raise ValueError("token_endpoint needs client_id and client_secret")
        if self.token_endpoint is None and any((*credentials, self.scope, self.ca_file)):
            raise ValueError("client_id, client_secret, scope and ca_file need token_endpoint")
        for name, value in self.extensions.items():
            if not (_EXTENSION_NAME.match(name) and _EXTENSION_VALUE.match(value)) or name == "auth":
                raise ValueError("extensions must be names of letters, but not `auth`, and printable values")


class KafkaSettings(Section, frozen=True):
    """How to reach the cluster. Security settings have the names of the kafka-python client."""

    bootstrap_servers: Annotated[str, Meta(min_length=1)] = "localhost:9092"
    """Brokers to connect to first, as `HOST:PORT`, separated by commas."""
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,100}\Z")] = ""
    """Prefix of the names of all topics, consumer groups and transactional ids: installations can share a cluster."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether connections use TLS and SASL."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """Required for a SASL protocol."""
    sasl_plain_username: str | None = None
    """The SASL user, for every mechanism but `OAUTHBEARER`."""
    sasl_plain_password: SecretRef | None = None
    """The SASL user's password. A changed file is used for new connections without a restart."""
    sasl_oauth: OAuthSettings | None = None
    """Where the token for `OAUTHBEARER` comes from."""
    ssl_cafile: str | None = None
    """PEM file of the authorities that the brokers' certificates must be signed by (default: the system's)."""
    ssl_certfile: str | None = None
    """PEM file of this client's certificate, for mutual TLS."""
    ssl_keyfile: str | None = None
    """PEM file of the certificate's private key, if it is not in `ssl_certfile`."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must name the host that was connected to."""
    events: EventSettings = EventSettings()
    """How records describe themselves, in their headers."""

    def __post_init__(self) -> None:
        user = (self.sasl_plain_username, self.sasl_plain_password)
        if self.sasl_mechanism == "OAUTHBEARER":
            if self.sasl_oauth is None or any(user):
                raise ValueError("OAUTHBEARER needs sasl_oauth, and no sasl_plain_username and sasl_plain_password")
        elif self.sasl_oauth is not None:
            raise ValueError("sasl_oauth needs sasl_mechanism OAUTHBEARER")
        elif self.security_protocol.startswith("SASL_") and None in (self.sasl_mechanism, *user):
            raise ValueError(
                f"{self.security_protocol} needs sasl_mechanism, sasl_plain_username and sasl_plain_password"
            )
        if not self.security_protocol.startswith("SASL_") and any((self.sasl_mechanism, *user)):
            # the clients differ: one would leave the password out, another send it without TLS
            raise ValueError("sasl settings need security_protocol SASL_SSL or SASL_PLAINTEXT")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile needs ssl_certfile")

    def topic(self, name: str) -> str:
        """A topic's name on this cluster."""
        return self.topic_prefix + name

    def stage_group(self, name: str) -> str:
        """The consumer group of a stage runner on this cluster; ``name`` is such as ``verify.omnikassa``."""
        return f"{self.topic_prefix}paynotify.{name}"


class TopicOverride(Section, frozen=True):
    """Settings of one topic that differ from the defaults."""

    partitions: Count | None = None
    """Number of partitions. A topic that follows another (see docs/reference/topics.md) has as many as that one."""
    replication_factor: Count | None = None
    """Number of replicas."""
    retention_seconds: Count | None = None
    """How long records are retained."""
    retention_bytes: Count | None = None
    """How many bytes each partition retains (`retention.bytes`); the oldest are deleted first, read or not."""
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
