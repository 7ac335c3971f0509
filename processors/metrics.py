"""What the workers count. Labels are bounded: provider, stage, outcome, reason, topic, partition."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)


class Metrics:
    """The workers' metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        unit = ("provider", "stage")
        self.received = Counter("paynotify_stage_received_total", "Records a stage has taken", unit, registry=registry)
        self.outcomes = Counter(
            "paynotify_stage_outcomes_total",
            "How records of a stage ended",
            (*unit, "outcome", "reason"),
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "paynotify_stage_batch_seconds",
            "From batch taken to source acknowledged",
            unit,
            buckets=_SECONDS,
            registry=registry,
        )
        self.publish_seconds = Histogram(
            "paynotify_publish_seconds",
            "From sending outputs to the brokers' acknowledgement",
            unit,
            buckets=_SECONDS,
            registry=registry,
        )
        self.fetch_seconds = Histogram(
            "paynotify_fetch_seconds", "One provider call", ("provider",), buckets=_SECONDS, registry=registry
        )
        self.calls = Counter(
            "paynotify_provider_calls_total",
            "Provider calls by how they ended",
            ("provider", "outcome"),
            registry=registry,
        )
        self.retries = Counter(
            "paynotify_lookup_retries_total", "Lookups put off", ("provider", "reason"), registry=registry
        )
        self.dead = Counter(
            "paynotify_dead_letters_total",
            "Records on lookups.dead",
            ("provider", "stage", "reason"),
            registry=registry,
        )
        self.refused = Counter(
            "paynotify_refused_transitions_total",
            "Observations that would have turned a status back",
            ("provider", "previous", "refused"),
            registry=registry,
        )
        self.late_successes = Counter(
            "paynotify_late_successes_total", "Failures that became successes", ("provider",), registry=registry
        )
        self.unknown_statuses = Counter(
            "paynotify_unknown_statuses_total",
            "Provider words without a row in the table",
            ("provider",),
            registry=registry,
        )
        self.mismatches = Counter(
            "paynotify_mismatches_total",
            "Payments whose amount or order is not what the shop expected",
            ("provider", "check"),
            registry=registry,
        )
        self.expected = Counter(
            "paynotify_expected_payments_total",
            "Expected payments: announced, heard of in time or unheard, overdue, looked for, cleared",
            ("provider", "outcome"),
            registry=registry,
        )
        self.silent = Gauge(
            "paynotify_provider_silent",
            "1 while a provider tells of none of the orders expected from it; of one merchant's where that is named",
            ("provider", "merchant"),
            registry=registry,
        )
        self.requests = Counter(
            "paynotify_requests_total",
            "Events of the shops' requests by their state, and why",
            ("provider", "action", "state", "reason"),
            registry=registry,
        )
        self.orphans = Counter(
            "paynotify_charge_orphans_total",
            "Transactions that may have been opened at the provider and are never started",
            ("provider",),
            registry=registry,
        )
        self.uncertain = Gauge(
            "paynotify_requests_uncertain",
            "Requests of which nobody knows whether they moved money",
            ("partition",),
            registry=registry,
        )
        self.receive_to_result = Histogram(
            "paynotify_receive_to_result_seconds",
            "From the notification's receipt to its payment's new status",
            ("provider",),
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self.last_notification = Gauge(
            "paynotify_last_notification_timestamp_seconds",
            "Receipt of the newest notification verified",
            ("provider",),
            registry=registry,
        )
        self.loop_errors = Counter(
            "paynotify_stage_errors_total",
            "Batches that had to be repeated or taken apart",
            (*unit, "kind"),
            registry=registry,
        )
        partition = (*unit, "topic", "partition")
        self.lag = Gauge(
            "paynotify_lag_records",
            "Records not yet committed, by the broker's own offsets",
            partition,
            registry=registry,
        )
        self.oldest = Gauge(
            "paynotify_oldest_unprocessed_age_seconds",
            "Age of the oldest record not yet acknowledged",
            partition,
            registry=registry,
        )
        self.standstill = Gauge(
            "paynotify_partition_stalled_seconds",
            "How long a partition that has records shows no progress",
            partition,
            registry=registry,
        )
