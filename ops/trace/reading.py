"""Reads a payment's timeline from the topics, for `paynotify trace` and the console."""

from __future__ import annotations

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.trace.search import PaymentSearch
from paynotify.ops.trace.timeline import Timeline, build_timeline
from paynotify.processors.resolve.release import release_rules
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration


def read_timeline(
    reader: TopicReader,
    configuration: Configuration,
    merchant: Merchant,
    payment: str,
    since_seconds: float | None = None,
    order: str | None = None,
) -> Timeline:
    """The payment's timeline; if ``payment`` is empty, that of the order.

    Raises:
        ClusterUnavailableError: the topics cannot be read.
    """
    provider = provider_of(merchant)
    found = PaymentSearch(reader, configuration, provider, merchant.id, payment, since_seconds, order).run()
    return build_timeline(provider, merchant.id, payment, found, release_rules(merchant))
