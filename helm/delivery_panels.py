"""The panels of the dashboard of outbound webhooks: what each subscriber gets, how late, and what waits."""

from __future__ import annotations

from typing import Final

from helm.dashboard_panels import Panel
from helm.panel_queries import increase, p90, per_second, series

_HERE: Final = "by (subscription)"


def _p90(histogram: str) -> str:
    return p90(histogram, by="subscription")


DELIVERIES: Final = (
    Panel(
        "Age of the oldest event that is not delivered",
        f"max {_HERE} ({series('paynotify_subscription_oldest_age_seconds')})",
        "{{subscription}}",
        unit="s",
        kind="stat",
        width=8,
        red_from=3600,
    ),
    Panel(
        "Disabled (should be none)",
        f"max {_HERE} ({series('paynotify_subscription_disabled')})",
        "{{subscription}}",
        kind="stat",
        width=8,
        red_from=0.5,
    ),
    Panel(
        "Delivered by nobody (should be none)",
        f"1 - max {_HERE} ({series('paynotify_subscription_owned')})",
        "{{subscription}}",
        kind="stat",
        width=8,
        red_from=0.5,
    ),
    Panel(
        "Calls by outcome",
        f"sum by (subscription, outcome, reason) {per_second('paynotify_deliveries_total')}",
        "{{subscription}} {{outcome}} {{reason}}",
        unit="reqps",
    ),
    Panel(
        "Held back because every call fails",
        f"max {_HERE} ({series('paynotify_subscription_circuit_open')})",
        "{{subscription}}",
    ),
    Panel("From the event to its delivery, p90", _p90("paynotify_delivery_age_seconds"), "{{subscription}}", unit="s"),
    Panel("Duration of a call, p90", _p90("paynotify_delivery_call_seconds"), "{{subscription}}", unit="s"),
    Panel(
        "Deliveries that wait to be tried again",
        f"max {_HERE} ({series('paynotify_deliveries_waiting')})",
        "{{subscription}}",
    ),
    Panel(
        "Records that are not done",
        f"max {_HERE} ({series('paynotify_subscription_lag_records')})",
        "{{subscription}}",
    ),
    Panel(
        "Records that hold no readable event",
        f"sum {_HERE} {increase('paynotify_delivery_unreadable_total')}",
        "{{subscription}}",
    ),
)
