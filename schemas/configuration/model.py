"""The one YAML file both processes and every command read. Its merchants are `schemas.configuration.merchants`.

Wrong files are refused whole, with file, line and key in the message. Secrets are references
(`schemas.configuration.secrets`), so a configuration can be printed and logged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from schemas.configuration.merchants import (
    Merchant,
    NevogateMerchant,
    TrustPaymentsMerchant,
    provider_of,
)
from schemas.configuration.secrets import SecretRef
from schemas.configuration.sections import MOST_LOOKS, Count, Positive, Section
from schemas.configuration.yaml_document import Document, Place
from schemas.errors import ConfigurationError
from schemas.topics import PROVIDERS, RETRY_STEPS, Topic, all_topics


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


class DuplicateWindows(Section, frozen=True):
    """How long a notification is remembered as seen.

    OmniKassa repeats its ping every minute until somebody pulls, and each repeat must be able to cause a pull:
    its window only swallows copies of one delivery. Trust Payments re-sends for about 48 hours.
    """

    omnikassa: Positive = 45.0
    trustpayments: Positive = 50 * 3600.0


class UnsignedBudgetSettings(Section, frozen=True):
    """What calls that carry no signature may cost a merchant, in lookups.

    A first call about an id costs one, and an id the provider turns out not to know ``unknown_cost`` in all. ``burst``
    is what a quiet merchant has saved up. Each id the provider knew has an account of its own for the calls about it.
    """

    per_second: Positive = 20.0
    burst: Count = 2000
    unknown_cost: Count = 5
    known_per_second: Positive = 0.1
    known_burst: Count = 50


class PollSchedules(Section, frozen=True):
    """When an overdue payment is asked for, in seconds after its ``final_by``: first look, spacing, last look.

    OmniKassa keeps an order for a day at least after its final status, and wants few such calls. A Trust Payments query
    costs nothing but itself. Nevogate's ``Details`` are asked for only where the merchant has switched them on.
    """

    omnikassa: tuple[Positive, ...] = (300.0, 3600.0, 6 * 3600.0, 20 * 3600.0)
    trustpayments: tuple[Positive, ...] = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
    nevogate: tuple[Positive, ...] = (300.0, 3600.0, 6 * 3600.0, 24 * 3600.0)

    def __post_init__(self) -> None:
        for provider in PROVIDERS:
            looks = getattr(self, provider)
            if list(looks) != sorted(looks) or len(looks) > MOST_LOOKS:
                raise ValueError(f"{provider} must be at most {MOST_LOOKS} times, each after the one before")


class OverdueSettings(Section, frozen=True):
    """How expected payments are looked after that are not final in time.

    ``lookups_per_hour`` is per merchant: what an outage made overdue is asked for one after another, not all at once.
    Nothing is overdue in the first ``takeover_grace_seconds`` after a worker took over, so that it processes waiting
    notifications first.
    """

    poll_schedule_seconds: PollSchedules = PollSchedules()
    lookups_per_hour: Count = 3600
    takeover_grace_seconds: Annotated[float, Meta(ge=0, le=3600)] = 120.0


class SilenceSettings(Section, frozen=True):
    """When a provider is taken to be silent: after so many expected orders in a row of which it told nothing.

    Customers who leave before paying make such runs too, so the run must also be less likely than
    ``false_alarm_probability`` by the provider's usual share. It is urgent only within ``urgent_within_seconds``.
    """

    min_missed: Annotated[int, Meta(ge=2, le=10_000)] = 10
    false_alarm_probability: Annotated[float, Meta(gt=0, lt=0.1)] = 1e-6
    urgent_within_seconds: Positive = 6 * 3600.0


class RetentionSettings(Section, frozen=True):
    """How long a payment's state is kept after its last news: in full, then closed (compressed, a seventh of the room),
    then not at all. Whatever tells of a forgotten payment is taken for a new one; ``null`` forgets none. What may still
    be played again, such as dead lookups, is kept on its topic for 90 days: no payment is forgotten sooner."""

    compress_after_days: Positive = 400.0
    delete_after_days: Annotated[float, Meta(ge=100, le=1e9)] | None = 3650.0

    def __post_init__(self) -> None:
        if self.delete_after_days is not None and self.delete_after_days <= self.compress_after_days:
            raise ValueError("delete_after_days must be longer than compress_after_days")


class DeadLetterLimit(Section, frozen=True):
    """How many records of a partition may raise an unexpected exception before it halts.

    At most ``consecutive_records`` in a row are dead-lettered, and at most ``share`` of the last ``window_records``.
    Expected reasons, such as an unreadable record or a payment that the provider does not know, do not count.
    """

    consecutive_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    window_records: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000

    def __post_init__(self) -> None:
        if self.share * self.window_records < 1:
            raise ValueError("share of window_records must be at least one record, or no record may be dead-lettered")


class WorkerSettings(Section, frozen=True):
    """How the stages work. ``retry_delays_seconds`` are the waits of the retry topics, shortest first."""

    batch_records: Count = 500
    batch_wait_seconds: Positive = 0.01
    retry_delays_seconds: tuple[Positive, ...] = (5.0, 30.0, 120.0, 600.0, 3600.0)
    provider_timeout_seconds: Positive = 15.0
    provider_calls_in_flight: Count = 64
    # with all that is known of it an answer must fit into `schemas.topics.RESPONSE_BYTES`
    provider_response_bytes: Annotated[int, Meta(ge=1, le=1_500_000)] = 1024 * 1024
    transactions_per_query: Annotated[int, Meta(ge=1, le=100)] = 100
    omnikassa_calls_per_second: Positive = 6.0
    # of each merchant, for what a provider wants to be asked rarely (OmniKassa's single orders)
    recovery_calls_per_hour: Count = 60
    duplicate_window_seconds: DuplicateWindows = DuplicateWindows()
    unsigned_budget: UnsignedBudgetSettings = UnsignedBudgetSettings()
    overdue: OverdueSettings = OverdueSettings()
    silence: SilenceSettings = SilenceSettings()
    retention: RetentionSettings = RetentionSettings()
    dead_letter_limit: DeadLetterLimit = DeadLetterLimit()
    session_timeout_seconds: Positive = 10.0
    # a partition that has records and shows no progress for so long makes the worker unhealthy
    stall_seconds: Positive = 120.0
    group_instance_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.retry_delays_seconds) != RETRY_STEPS:
            raise ValueError(f"retry_delays_seconds needs exactly {RETRY_STEPS} delays, one for each retry topic")
        if list(self.retry_delays_seconds) != sorted(self.retry_delays_seconds):
            raise ValueError("retry_delays_seconds must not get shorter from step to step")
        if self.stall_seconds <= self.provider_timeout_seconds:
            raise ValueError("stall_seconds must be longer than provider_timeout_seconds: waiting is no standstill")


class Configuration(Section, frozen=True, kw_only=True):
    """The whole file."""

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
        configuration = msgspec.convert(document.data, Configuration)
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


#: Visible ASCII: a host outside it is written in Punycode, a path percent-encoded.
_URL: Final = re.compile(r"[!-~]+\Z")


def _check_urls(merchant: Merchant, place: Place, sandbox: bool, document: Document) -> None:
    key = "webservices_url" if isinstance(merchant, TrustPaymentsMerchant) else "base_url"
    _check_url(merchant.base_url, (*place, key), sandbox, document)
    if isinstance(merchant, NevogateMerchant) and merchant.charges is not None:
        _check_url(merchant.charges.public_url, (*place, "charges", "public_url"), sandbox, document)


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
