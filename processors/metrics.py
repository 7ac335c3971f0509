"""What the workers count. Label values are a closed set: provider, stage, outcome, reason, topic, partition."""

from __future__ import annotations

from typing import Final

from paynotify.service.metrics import LONG_SECONDS, SECONDS, MetricSet, counter, gauge, histogram

_STAGE: Final = ("provider", "stage")
_PARTITION: Final = (*_STAGE, "topic", "partition")


class Metrics(MetricSet):
    """The workers' metrics in one registry."""

    # stages
    received = counter("paynotify_stage_received_total", "Records a stage has received", *_STAGE)
    outcomes = counter(
        "paynotify_stage_outcomes_total", "Records of a stage, by how they ended", *_STAGE, "outcome", "reason"
    )
    stage_errors = counter(
        "paynotify_stage_errors_total",
        "Failures in the stage loop: repeated or abandoned batches, and failed records",
        *_STAGE,
        "kind",
    )
    batch_seconds = histogram(
        "paynotify_stage_batch_seconds",
        "Time from receiving a batch to acknowledging its source",
        *_STAGE,
        buckets=SECONDS,
    )
    publish_seconds = histogram(
        "paynotify_publish_seconds",
        "Time from sending outputs to the brokers' acknowledgement",
        *_STAGE,
        buckets=SECONDS,
    )
    dead_letters = counter("paynotify_dead_letters_total", "Records dead-lettered to lookups.dead", *_STAGE, "reason")

    card_numbers = counter(
        "paynotify_card_numbers_masked_total",
        "Card numbers masked in responses, dead letters and copies of notifications before they were stored",
        "topic",
    )

    # partitions
    lag = gauge("paynotify_lag_records", "Records not yet committed, by the brokers' own offsets", *_PARTITION)
    oldest = gauge(
        "paynotify_oldest_unprocessed_age_seconds", "Age of the oldest record not yet acknowledged", *_PARTITION
    )
    stalled = gauge(
        "paynotify_partition_stalled_seconds",
        "How long a partition that has records has made no progress",
        *_PARTITION,
    )
    halted = gauge("paynotify_partition_halted", "1 while a partition has halted at its dead-letter limit", *_PARTITION)

    # providers
    fetch_seconds = histogram("paynotify_fetch_seconds", "Duration of one provider call", "provider", buckets=SECONDS)
    calls = counter("paynotify_provider_calls_total", "Provider calls, by how they ended", "provider", "outcome")
    circuit_open = gauge(
        "paynotify_provider_circuit_open",
        "1 while a merchant's lookups are held back because every call for it fails",
        "provider",
        "merchant",
    )
    retries = counter("paynotify_lookup_retries_total", "Lookups sent to a retry topic", "provider", "reason")
    unknown_statuses = counter(
        "paynotify_unknown_statuses_total", "Provider statuses that paynotify has no mapping for", "provider"
    )
    provider_alerts = counter(
        "paynotify_provider_alerts_total",
        "Providers' alerts about their own service, by kind, and by whether they are raised or over",
        "provider",
        "kind",
        "state",
    )
    silent = gauge(
        "paynotify_provider_silent",
        "1 while a provider reports none of the orders expected from it, or none of the named merchant's",
        "provider",
        "merchant",
    )
    notification_warnings = counter(
        "paynotify_notification_warnings_total",
        "Notifications looked up although something about them is odd, such as a field nobody configured",
        "provider",
        "warning",
    )
    response_warnings = counter(
        "paynotify_response_warnings_total",
        "Responses with something odd in them, such as an amount that contradicts its currency's decimals",
        "provider",
        "warning",
    )
    key_set_fetched = gauge(
        "paynotify_key_set_fetched_timestamp_seconds",
        "Unix time at which the public keys for a merchant's notifications were last fetched; 0 if never",
        "provider",
        "merchant",
    )
    last_verified = gauge(
        "paynotify_last_verified_timestamp_seconds",
        "Unix time of receipt of the last verified notification, providers' alerts apart; 0 if none since the start",
        "provider",
    )

    # payments
    receive_to_result = histogram(
        "paynotify_receive_to_result_seconds",
        "Time from a notification's receipt to its payment's new status",
        "provider",
        buckets=LONG_SECONDS,
    )
    refused = counter(
        "paynotify_refused_transitions_total",
        "Observations that would have moved a payment's status backwards",
        "provider",
        "previous",
        "refused",
    )
    late_successes = counter("paynotify_late_successes_total", "Failed payments that succeeded later", "provider")
    returned_payments = counter(
        "paynotify_returned_payments_total",
        "Captured payments whose money the customer's bank took back without a refund",
        "provider",
    )
    over_refunds = counter(
        "paynotify_over_refunds_total", "Payments of which more was refunded than was captured", "provider"
    )
    mismatches = counter(
        "paynotify_mismatches_total",
        "Payments whose amount or order is not what the shop expected",
        "provider",
        "check",
    )
    expected = counter(
        "paynotify_expected_payments_total",
        "Expected payments: registered, observed in time or missed, overdue or late to settle, polled, cleared",
        "provider",
        "outcome",
    )

    settlements_due = counter(
        "paynotify_settlements_due_total",
        "Payments and refunds looked up because their settlement was due",
        "provider",
    )
    settlements_given_up = counter(
        "paynotify_settlements_given_up_total",
        "Payments and refunds that the provider did not settle in time and that are looked up no more",
        "provider",
    )

    # requests of the shops
    requests = counter(
        "paynotify_requests_total",
        "Events of the shops' requests, by state and reason",
        "provider",
        "action",
        "state",
        "reason",
    )
    orphans = counter(
        "paynotify_charge_orphans_total",
        "Transactions that may have been opened at the provider and are never started",
        "provider",
    )
    uncertain = gauge("paynotify_requests_uncertain", "Requests that may or may not have moved money", "partition")

    def count_card_numbers(self, topic: str, count: int) -> None:
        """Count the card numbers that were masked in one record."""
        self.card_numbers.labels(topic).inc(count)
