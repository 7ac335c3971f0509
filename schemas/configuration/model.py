"""The configuration file as a type: its sections, and what follows from them.

Secrets are references (`schemas.configuration.secrets`), so a configuration can be printed and logged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from paynotify.schemas.configuration.card_numbers import CardNumberSettings
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.deliver import DeliverSettings
from paynotify.schemas.configuration.encryption import EncryptionSettings
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.kafka import KafkaSettings, TopicOverride, TopicSettings
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.sections import Section
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.providers import id_fields, provider_contracts
from paynotify.schemas.topics import Topic, all_topics


class Configuration(Section, frozen=True, kw_only=True):
    """The whole file. Files are parsed as `configuration_type`, which knows each provider's merchant section."""

    kafka: KafkaSettings = KafkaSettings()
    """How to reach the cluster."""
    topics: TopicSettings = TopicSettings()
    """Partitions and replication of the topics."""
    encryption: EncryptionSettings | None = None
    """Encryption at rest of what callers and providers sent (default: none)."""
    card_numbers: CardNumberSettings = CardNumberSettings()
    """The masking of card numbers before anything is stored."""
    state_directory: str = "/var/lib/paynotify"
    """Directory of the workers' local state. It is restored from Kafka if it is lost."""
    sandbox: bool = False
    """Allows secrets in this file and URLs with http. Never in production."""
    ingest: IngestSettings = IngestSettings()
    """Limits of the HTTP ingress."""
    worker: WorkerSettings = WorkerSettings()
    """How the stages process, retry, poll and persist."""
    deliver: DeliverSettings = DeliverSettings()
    """How subscribers are called with results."""
    console: ConsoleSettings = ConsoleSettings()
    """The console's pages and API."""
    merchants: Annotated[tuple[Merchant, ...], Meta(min_length=1)]
    """The shop accounts at the providers, each with the keys of its provider."""

    def id_fields(self) -> frozenset[str]:
        """The fields in which a number is no card's."""
        return id_fields().union(self.card_numbers.id_fields)

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
                retention_bytes=override.retention_bytes or topic.retention_bytes,
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
