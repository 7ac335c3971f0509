"""The panels of the dashboards of the stages: the same for each, and those that only one has."""

from __future__ import annotations

from typing import Final

from helm import console_links
from helm.dashboard_panels import Panel
from helm.panel_queries import increase, p90, per_second, series

_REJECTED: Final = 'stage="verify",outcome="rejected"'
#: As in PaynotifyNotificationsRejected.
_REJECTED_CALLS: Final = f'{_REJECTED},reason!="over_budget"'
_JUDGED_CALLS: Final = 'stage="verify",outcome=~"rejected|lookup|duplicate",reason!="over_budget"'

#: Additional panels of single stages.
_OF_STAGE: Final[dict[str, tuple[Panel, ...]]] = {
    "verify": (
        Panel(
            "Rejections by reason",
            f"sum by (provider, reason) {per_second('paynotify_stage_outcomes_total', _REJECTED)}",
            "{{provider}} {{reason}}",
            unit="reqps",
            console=f"{console_links.REJECTED}&reason={{reason}}",
        ),
        Panel(
            "Share of rejected notifications in an hour",
            f"sum by (provider) {increase('paynotify_stage_outcomes_total', _REJECTED_CALLS)}"
            f" / sum by (provider) {increase('paynotify_stage_outcomes_total', _JUDGED_CALLS)}",
            "{{provider}}",
            unit="percentunit",
            red_from=0.2,
            console=console_links.REJECTED,
        ),
        Panel(
            "Age of public keys",
            f"time() - min by (provider, merchant) ({series('paynotify_key_set_fetched_timestamp_seconds')} > 0)",
            "{{provider}} {{merchant}}",
            unit="s",
        ),
        Panel(
            "Odd notifications",
            f"sum by (provider, warning) {increase('paynotify_notification_warnings_total')}",
            "{{provider}} {{warning}}",
        ),
        Panel(
            "Providers' alerts about their service",
            f"sum by (provider, kind, state) {increase('paynotify_provider_alerts_total')}",
            "{{provider}} {{kind}} {{state}}",
        ),
    ),
    "fetch": (
        Panel(
            "Duration of provider calls, 90th percentile",
            p90("paynotify_fetch_seconds"),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Retries by reason",
            f"sum by (provider, reason) {per_second('paynotify_lookup_retries_total')}",
            "{{provider}} {{reason}}",
            unit="reqps",
        ),
    ),
    "interpret": (
        Panel(
            "Unknown statuses",
            f"sum by (provider) {increase('paynotify_unknown_statuses_total')}",
            "{{provider}}",
            console=console_links.UNKNOWN,
        ),
        Panel(
            "Odd responses",
            f"sum by (provider, warning) {increase('paynotify_response_warnings_total')}",
            "{{provider}} {{warning}}",
        ),
    ),
    "resolve": (
        Panel(
            "Late successes",
            f"sum by (provider) {increase('paynotify_late_successes_total')}",
            "{{provider}}",
        ),
        Panel(
            "Mismatches with the expected payment",
            f"sum by (provider, check) {increase('paynotify_mismatches_total')}",
            "{{provider}} {{check}}",
        ),
        Panel(
            "Money returned without a refund",
            f"sum by (provider) {increase('paynotify_returned_payments_total')}",
            "{{provider}}",
            red_from=0.5,
            console=console_links.MONEY_RETURNED,
        ),
        Panel(
            "More refunded than captured",
            f"sum by (provider) {increase('paynotify_over_refunds_total')}",
            "{{provider}}",
            red_from=0.5,
            console=console_links.OVER_REFUNDED,
        ),
        Panel(
            "Payments looked up when their settlement was due",
            f"sum by (provider) {increase('paynotify_settlements_due_total')}",
            "{{provider}}",
        ),
        Panel(
            "Settlements given up",
            f"sum by (provider) {increase('paynotify_settlements_given_up_total')}",
            "{{provider}}",
            red_from=0.5,
            console=console_links.UNSETTLED,
        ),
    ),
    "orders": (
        Panel(
            "Expected payments",
            f"sum by (provider, outcome) {increase('paynotify_expected_payments_total')}",
            "{{provider}} {{outcome}}",
            console=console_links.OVERDUE,
        ),
    ),
    "charge": (
        Panel(
            "Requests by state",
            f"sum by (provider, action, state) {increase('paynotify_requests_total')}",
            "{{provider}} {{action}} {{state}}",
            console="/requests?state={state}",
        ),
        Panel(
            "Uncertain",
            f"sum({series('paynotify_requests_uncertain')})",
            "uncertain",
            red_from=0.5,
            console=console_links.UNCERTAIN,
        ),
    ),
}


def panels_of(stage: str) -> tuple[Panel, ...]:
    """The panels of the stage's dashboard: those that every stage has, then its own."""
    here = f'stage="{stage}"'
    # an order or a request has many records: its outcomes have a panel of their own
    ended = (
        ()
        if stage in ("orders", "charge")
        else (
            Panel(
                "Records by outcome",
                f"sum by (provider, outcome) {per_second('paynotify_stage_outcomes_total', here)}",
                "{{provider}} {{outcome}}",
                unit="reqps",
            ),
        )
    )
    return (
        Panel(
            "Records processed",
            f"sum by (provider) (rate({series('paynotify_stage_received_total', here)}[5m]))",
            "{{provider}}",
            unit="reqps",
        ),
        *ended,
        Panel(
            "Lag by partition, in records",
            f"max by (topic, partition) ({series('paynotify_lag_records', here)})",
            "{{topic}}/{{partition}}",
            console=console_links.FLOW,
        ),
        Panel(
            "Stalled for",
            f"max by (topic, partition) ({series('paynotify_partition_stalled_seconds', here)})",
            "{{topic}}/{{partition}}",
            unit="s",
            red_from=120,
        ),
        Panel(
            "Duration of a batch, 90th percentile",
            p90("paynotify_stage_batch_seconds", here),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Errors by kind",
            f"sum by (provider, kind) {increase('paynotify_stage_errors_total', here)}",
            "{{provider}} {{kind}}",
        ),
        *_OF_STAGE[stage],
    )
