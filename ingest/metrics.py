"""What the ingress counts. Label values are the providers and closed lists of outcomes, never a merchant.

Callers can't create new label values, so they can't make the metrics grow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from paynotify.ingest.tallied_counter import Tallies
from paynotify.service.metrics import MetricSet, counter, gauge, histogram

#: The label of calls that belong to no configured provider.
UNKNOWN: Final = "unknown"

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class IngestMetricSet(MetricSet):
    """The ingress's own metrics in one registry."""

    requests = counter("paynotify_ingest_requests_total", "Requests, by outcome", "provider", "outcome")
    stored = counter("paynotify_ingest_stored_total", "Notifications acknowledged by the brokers", "provider")
    stored_bytes = counter(
        "paynotify_ingest_stored_bytes_total", "Bytes of the bodies and queries of these notifications", "provider"
    )
    card_numbers = counter(
        "paynotify_ingest_card_numbers_masked_total", "Card numbers masked in calls before they were stored", "provider"
    )
    publish_seconds = histogram(
        "paynotify_ingest_publish_seconds",
        "Time from handing a record to the producer to the brokers' acknowledgement",
        "provider",
        buckets=_SECONDS,
    )
    last_stored = gauge(
        "paynotify_last_notification_timestamp_seconds", "Unix time of the newest stored notification", "provider"
    )
    in_flight = gauge("paynotify_ingest_in_flight", "Notifications being read or not yet acknowledged by the brokers")


class IngestMetrics:
    """The metrics of one ingress in a registry of its own, each labelled in advance: the hot path only counts."""

    def __init__(self, providers: tuple[str, ...], outcomes: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        tallies = Tallies()
        self.registry.register(tallies)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._metrics = IngestMetricSet(self.registry)
        self.requests: Final = {
            (provider, outcome): tallies.of(self._metrics.requests.labels(provider, outcome))
            for provider in (*providers, UNKNOWN)
            for outcome in outcomes
        }
        self.stored: Final = {one: tallies.of(self._metrics.stored.labels(one)) for one in providers}
        self.stored_bytes: Final = {one: tallies.of(self._metrics.stored_bytes.labels(one)) for one in providers}
        self.card_numbers: Final = {one: tallies.of(self._metrics.card_numbers.labels(one)) for one in providers}
        self.publish_seconds: Final = {one: self._metrics.publish_seconds.labels(one) for one in providers}
        self.last_stored: Final = dict.fromkeys(providers, 0.0)
        for one in providers:
            self._metrics.last_stored.labels(one).set_function(partial(self.last_stored.__getitem__, one))

    def watch_in_flight(self, count: Callable[[], float]) -> None:
        """Read the number of notifications in flight for each scrape."""
        self._metrics.in_flight.set_function(count)
