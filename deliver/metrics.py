"""What `paynotify deliver` counts. Label values are the configured subscriptions and closed lists."""

from __future__ import annotations

from paynotify.service.metrics import LONG_SECONDS, SECONDS, MetricSet, counter, gauge, histogram


class DeliverMetrics(MetricSet):
    """The metrics of one process in one registry.

    Gauges of a subscription are those of its owner; every other process has 0 there.
    """

    deliveries = counter(
        "paynotify_deliveries_total",
        "Calls to subscribers and what became of their deliveries: delivered, retried, held, dead",
        "subscription",
        "outcome",
        "reason",
    )
    call_seconds = histogram(
        "paynotify_delivery_call_seconds", "Duration of one call to a subscriber", "subscription", buckets=SECONDS
    )
    age_seconds = histogram(
        "paynotify_delivery_age_seconds", "Time from an event to its delivery", "subscription", buckets=LONG_SECONDS
    )
    unreadable = counter(
        "paynotify_delivery_unreadable_total",
        "Records of the result topics that hold no readable event",
        "subscription",
    )
    waiting = gauge("paynotify_deliveries_waiting", "Deliveries that wait to be tried again", "subscription")
    lag = gauge(
        "paynotify_subscription_lag_records",
        "Records of its topics that a subscription is not done with",
        "subscription",
    )
    oldest = gauge(
        "paynotify_subscription_oldest_age_seconds", "Age of the oldest event that is not delivered", "subscription"
    )
    owned = gauge("paynotify_subscription_owned", "1 while this process delivers the subscription", "subscription")
    disabled = gauge(
        "paynotify_subscription_disabled",
        "1 while a subscription is disabled, by HTTP 410 or an operator",
        "subscription",
    )
    circuit_open = gauge(
        "paynotify_subscription_circuit_open",
        "1 while a subscriber's deliveries are held back because every call fails",
        "subscription",
    )

    def disown(self, subscription: str) -> None:
        """Another process owns the subscription, or none does."""
        for one in (self.owned, self.waiting, self.lag, self.oldest, self.circuit_open):
            one.labels(subscription).set(0)
