"""The one YAML file both processes and every command read. Its merchants are `schemas.configuration.merchants`.

Wrong files are refused whole, with file, line and key in the message. Secrets are references
(`schemas.configuration.secrets`), so a configuration can be printed and logged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from schemas.configuration.merchants import Merchant, charges_of, provider_of
from schemas.configuration.secrets import SecretRef
from schemas.configuration.sections import MAX_POLLS, Count, Positive, Section
from schemas.configuration.worker import WorkerSettings
from schemas.configuration.yaml_document import Document, Place
from schemas.errors import ConfigurationError
from schemas.providers import ProviderContract, provider_contracts
from schemas.topics import Topic, all_topics


class KafkaSettings(Section, frozen=True):
    """How to reach the cluster. Security settings have the names of the kafka-python client."""

    bootstrap_servers: Annotated[str, Meta(min_length=1)] = "localhost:9092"
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,100}\Z")] = ""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_plain_username: str | None = None
    sasl_plain_password: SecretRef | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_check_hostname: bool = True

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
    """What differs for one topic from the defaults."""

    partitions: Count | None = None
    replication_factor: Count | None = None
    retention_seconds: Count | None = None
    settings: dict[str, str] = msgspec.field(default_factory=dict)


class TopicSettings(Section, frozen=True):
    """Partitions and replication of every topic; ``overrides`` per topic name (without prefix)."""

    partitions: Count = 4
    replication_factor: Count = 3
    min_insync_replicas: Count | None = None
    overrides: dict[str, TopicOverride] = msgspec.field(default_factory=dict)

    def minimum_insync(self) -> int:
        """``min.insync.replicas``: what is configured, else one less than the replicas (at least one)."""
        return self.min_insync_replicas or max(1, self.replication_factor - 1)


class IngestSettings(Section, frozen=True):
    """Limits of the HTTP ingress. ``rate_per_second`` and ``burst`` are per merchant's route.

    ``address_rate_per_second`` is per caller's address and not set by default: behind a proxy all calls come from one.
    """

    # with its headers a body must fit into a record of Kafka's default size
    max_body_bytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 64 * 1024
    max_header_bytes: Count = 16 * 1024
    max_in_flight: Count = 5_000
    publish_timeout_seconds: Positive = 5.0
    body_deadline_seconds: Positive = 10.0
    rate_per_second: Positive = 10_000.0
    burst: Count = 20_000
    address_rate_per_second: Positive | None = None
    address_burst: Count = 100
    retry_after_seconds: Count = 5
    drain_seconds: Positive = 20.0


class Configuration(Section, frozen=True, kw_only=True):
    """The whole file. Files are parsed as `configuration_type`, which knows each provider's merchant section."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    state_directory: str = "/var/lib/paynotify"
    sandbox: bool = False
    ingest: IngestSettings = IngestSettings()
    worker: WorkerSettings = WorkerSettings()
    merchants: Annotated[tuple[Merchant, ...], Meta(min_length=1)]

    def merchants_of(self, provider: str) -> dict[str, Merchant]:
        """The provider's merchants by id."""
        return {merchant.id: merchant for merchant in self.merchants if provider_of(merchant) == provider}

    def partitions_of(self, topic: Topic) -> int:
        """The topic's number of partitions; one that follows another has as many as that one."""
        override = self.topics.overrides.get(topic.follows or topic.name, TopicOverride())
        return override.partitions or self.topics.partitions

    def wanted_topics(self) -> dict[str, tuple[Topic, int, int]]:
        """Every topic by its name on the cluster, with partitions and replication factor."""
        wanted = {}
        for topic in all_topics():
            override = self.topics.overrides.get(topic.name, TopicOverride())
            changed = replace(
                topic,
                retention_seconds=override.retention_seconds or topic.retention_seconds,
                settings={**topic.settings, **override.settings},
            )
            wanted[self.kafka.topic(topic.name)] = (
                changed,
                self.partitions_of(topic),
                override.replication_factor or self.topics.replication_factor,
            )
        return wanted


def configuration_type() -> type[Configuration]:
    """`Configuration` with the merchant sections of the registered providers."""
    return _configuration_of(tuple(one.merchant for one in provider_contracts().values()))


@lru_cache(maxsize=8)
def _configuration_of(sections: tuple[type[Merchant], ...]) -> type[Configuration]:
    section: Any = reduce(or_, sections)
    merchants = Annotated[tuple[section, ...], Meta(min_length=1)]
    defined = msgspec.defstruct(
        Configuration.__name__,
        [("merchants", merchants)],
        bases=(Configuration,),
        module=__name__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return cast("type[Configuration]", defined)


def load(path: str | os.PathLike[str] | None = None) -> Configuration:
    """Read and check the file at ``path``, or at ``PAYNOTIFY_CONFIG``.

    Raises:
        ConfigurationError: no file, no YAML, an unknown or missing key, a wrong value; one paragraph saying
            what, where (file, line, key) and what to do.
    """
    chosen = path or os.environ.get("PAYNOTIFY_CONFIG")
    if not chosen:
        raise ConfigurationError("No configuration given. Name the file with --config FILE or PAYNOTIFY_CONFIG.")
    file = Path(chosen)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"The configuration {file} can't be read: {why}. Check the path and its permissions."
        ) from None
    return parse(text, str(file))


def parse(text: str, file: str) -> Configuration:
    """The configuration in ``text``; ``file`` is only named in errors.

    Raises:
        ConfigurationError: as `load`.
    """
    document = Document(text, file)
    try:
        configuration = msgspec.convert(document.data, configuration_type())
    except msgspec.ValidationError as error:
        raise document.refused(str(error)) from None
    _check_rules(configuration, document)
    return configuration


def _check_rules(configuration: Configuration, document: Document) -> None:
    """What no type can say."""
    seen: dict[str, int] = {}
    for index, merchant in enumerate(configuration.merchants):
        place: Place = ("merchants", index)
        if merchant.id in seen:
            raise document.error(
                (*place, "id"), "is another merchant's id too", "Ids are part of every key and must differ."
            )
        seen[merchant.id] = index
        _check_urls(merchant, place, configuration.sandbox, document)
    if not configuration.sandbox:
        _refuse_values(document.data, (), document)
    _check_providers(configuration.worker, document)
    known = {topic.name: topic for topic in all_topics()}
    for name, override in configuration.topics.overrides.items():
        follows = known[name].follows if name in known else None
        if follows is not None and override.partitions is not None:
            raise document.error(
                ("topics", "overrides", name, "partitions"),
                f"can't be set: {name} has as many partitions as {follows}",
                f"Set the partitions of {follows}.",
            )
        if name not in known:
            raise document.error(
                ("topics", "overrides", name), "is not a topic of paynotify", "Use the name without the prefix."
            )


def _check_providers(worker: WorkerSettings, document: Document) -> None:
    """The mappings by provider: each name is a provider's that has such a setting, and schedules go forward."""
    contracts = provider_contracts()
    schedules = worker.overdue.poll_schedule_seconds
    for place, names, settable in (
        (("worker", "duplicate_window_seconds"), worker.duplicate_window_seconds, _windowed(contracts)),
        (("worker", "calls_per_second"), worker.calls_per_second, _limited(contracts)),
        (("worker", "overdue", "poll_schedule_seconds"), schedules, tuple(contracts)),
    ):
        for name in names:
            if name not in settable:
                raise document.error(
                    (*place, name), "must be a provider that has this setting", f"They are {', '.join(settable)}."
                )
    for name, times in schedules.items():
        if list(times) != sorted(times) or len(times) > MAX_POLLS:
            raise document.error(
                ("worker", "overdue", "poll_schedule_seconds", name),
                f"must be at most {MAX_POLLS} times, each after the one before",
                "An empty list polls never.",
            )


def _windowed(contracts: Mapping[str, ProviderContract]) -> tuple[str, ...]:
    return tuple(name for name, one in contracts.items() if one.duplicate_window_seconds is not None)


def _limited(contracts: Mapping[str, ProviderContract]) -> tuple[str, ...]:
    return tuple(name for name, one in contracts.items() if one.calls_per_second is not None)


#: Visible ASCII: a host outside it is written in Punycode, a path percent-encoded.
_URL: Final = re.compile(r"[!-~]+\Z")


def _check_urls(merchant: Merchant, place: Place, sandbox: bool, document: Document) -> None:
    for key, url in merchant.base_urls().items():
        _check_url(url, (*place, key), sandbox, document)
    charges = charges_of(merchant)
    if charges is not None:
        _check_url(charges.public_url, (*place, "charges", "public_url"), sandbox, document)


def _check_url(url: str, place: Place, sandbox: bool, document: Document) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname and parts.port != 0 and _URL.match(url))
    except ValueError:  # a port that is no number, an address in brackets that is none
        parts, usable = urlsplit(""), False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise document.error(place, "is not a base URL", "Give scheme, host and path only.")
    if parts.scheme != "https" and not (parts.scheme == "http" and sandbox):
        raise document.error(
            place, "is not an https URL", "Use https; http needs `sandbox: true` at the top of the file."
        )


def _refuse_values(data: Any, place: Place, document: Document) -> None:
    """A secret written into the file itself is for the sandbox only."""
    if isinstance(data, Mapping):
        if set(data) == {"value"}:
            raise document.error(
                (*place, "value"),
                "is a secret in the open",
                "Use {file: PATH} or {env: NAME}; {value: ...} needs `sandbox: true` at the top of the file.",
            )
        for key, child in data.items():
            _refuse_values(child, (*place, key), document)
    elif isinstance(data, list):
        for index, child in enumerate(data):
            _refuse_values(child, (*place, index), document)
