"""What the ingress counts. Labels are the providers and a closed list of outcomes, never a merchant (G9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

#: The label of calls that belong to no configured provider.
UNKNOWN: Final = "unknown"

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class IngestMetrics:
    """The metrics of one ingress, in a registry of its own."""

    def __init__(self, providers: tuple[str, ...], outcomes: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        requests = Counter(
            "paynotify_ingest_requests",
            "Requests by outcome",
            ["provider", "outcome"],
            registry=self.registry,
        )
        stored = Counter(
            "paynotify_ingest_stored",
            "Notifications acknowledged by the brokers",
            ["provider"],
            registry=self.registry,
        )
        publish = Histogram(
            "paynotify_ingest_publish_seconds",
            "Time from handing a record to the producer to the brokers' acknowledgement",
            ["provider"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        last = Gauge(
            "paynotify_last_notification_timestamp_seconds",
            "Unix time of the newest stored notification",
            ["provider"],
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "paynotify_ingest_in_flight",
            "Notifications being read or not yet answered by the brokers",
            registry=self.registry,
        )
        self.requests: Final = {
            (provider, outcome): requests.labels(provider, outcome)
            for provider in (*providers, UNKNOWN)
            for outcome in outcomes
        }
        self.stored: Final = {provider: stored.labels(provider) for provider in providers}
        self.publish_seconds: Final = {provider: publish.labels(provider) for provider in providers}
        self.last_stored: Final = {provider: last.labels(provider) for provider in providers}

    def watch_in_flight(self, count: Callable[[], float]) -> None:
        """Read the number of notifications in flight when somebody asks for the metrics."""
        self._in_flight.set_function(count)
