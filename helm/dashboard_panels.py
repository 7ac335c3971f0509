"""The panels of the Grafana dashboards: an overview, and those of each stage.

The overview answers three questions in this order: are results published, for which provider not, and since when. Each
panel is a row of a table here, so that its query can be reviewed and tested as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_HERE: Final = 'namespace="$namespace"'
_MINUTES, _HOUR, _DAY = 300, 3600, 24 * 3600
_UNAVAILABLE: Final = 'outcome=~"full|not_stored"'
_REJECTED: Final = 'stage="verify",outcome="rejected"'
#: As in PaynotifyNotificationsRejected.
_REJECTED_CALLS: Final = f'{_REJECTED},reason!="over_budget"'
_JUDGED_CALLS: Final = 'stage="verify",outcome=~"rejected|lookup|duplicate",reason!="over_budget"'
_NO_RETRIES: Final = 'topic!~".*retry.*"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: ``query`` is PromQL, ``legend`` names the lines.

    A stat shows the current value. When the processes are gone it shows nothing, or for how long; never an old value.
    """

    title: str
    query: str
    legend: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    red_from: float | None = None
    green_from: float | None = None


def _in(metric: str, labels: str = "") -> str:
    return f"{metric}{{{_HERE}{',' if labels else ''}{labels}}}"


def _increase(metric: str, labels: str = "", seconds: int = _HOUR) -> str:
    """The increase of each counter in the last seconds, including its first case.

    A counter with a label of many values appears with its first case, which Prometheus does not take for an increase:
    208 dead letters within one scrape would be 0. The whole value of a new counter therefore counts. ``_created`` says
    that it is new; its absence before does not, or every counter would be new after an outage of Prometheus.
    """
    counter, created = _in(metric, labels), _in(metric.removesuffix("_total") + "_created", labels)
    within = f"[{seconds}s]"
    young = f"last_over_time({created}{within}) > time() - {seconds} unless {counter} offset {seconds}s"
    return f"((max_over_time({counter}{within}) and {young}) or increase({counter}{within}))"


def _per_second(metric: str, labels: str = "") -> str:
    """The rate of each counter over the last five minutes."""
    return f"({_increase(metric, labels, _MINUTES)} / {_MINUTES})"


def _p90(histogram: str, labels: str = "") -> str:
    """The 90th percentile by provider."""
    return f"histogram_quantile(0.9, sum by (provider, le) (rate({_in(histogram + '_bucket', labels)}[5m])))"


def _newest(gauge: str) -> str:
    """The newest time by provider. A process that has just started has none, and a provider that a release cut off must
    still show: what earlier processes exported within a week counts."""
    return f"(max by (provider) (max_over_time({_in(gauge)}[7d])) > 0)"


_HEARD_FROM: Final = _newest("paynotify_last_notification_timestamp_seconds")

OVERVIEW: Final = (
    Panel(
        "Results per minute",
        # also of providers with notifications but without a result since the workers started
        f"sum by (provider) (rate({_in('paynotify_receive_to_result_seconds_count')}[5m])) * 60 or 0 * {_HEARD_FROM}",
        "{{provider}}",
        kind="stat",
        width=6,
        green_from=0.001,
    ),
    Panel(
        "Time since the last notification",
        f"time() - {_HEARD_FROM}",
        "{{provider}}",
        unit="s",
        kind="stat",
        width=6,
        red_from=1800,
    ),
    Panel(
        "Time since the last verified notification",
        f"time() - {_newest('paynotify_last_verified_timestamp_seconds')}",
        "{{provider}}",
        unit="s",
        kind="stat",
        width=6,
        red_from=1800,
    ),
    Panel(
        "Oldest unprocessed record",
        f"topk(3, max by (provider, stage) ({_in('paynotify_oldest_unprocessed_age_seconds', _NO_RETRIES)}))",
        "{{provider}} {{stage}}",
        unit="s",
        kind="stat",
        width=6,
        red_from=300,
    ),
    Panel(
        "Responses 503 (should be none)",
        f"sum(rate({_in('paynotify_ingest_requests_total', _UNAVAILABLE)}[5m]))",
        "503",
        unit="reqps",
        kind="stat",
        width=6,
        red_from=0.001,
    ),
    Panel(
        "Dead letters in 24 hours (should be none)",
        # an extrapolated increase is not a whole number
        f"round(sum by (provider) {_increase('paynotify_dead_letters_total', seconds=_DAY)})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
    ),
    Panel(
        "Silent providers (should be none)",
        f"max by (provider) ({_in('paynotify_provider_silent')})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
    ),
    Panel(
        "Uncertain charges (should be none)",
        f"sum({_in('paynotify_requests_uncertain')})",
        "uncertain",
        kind="stat",
        width=6,
        red_from=0.5,
    ),
    Panel(
        "Notifications stored",
        f"sum by (provider) (rate({_in('paynotify_ingest_stored_total')}[5m]))",
        "{{provider}}",
        unit="reqps",
    ),
    Panel(
        "Receipt to result, 90th percentile",
        _p90("paynotify_receive_to_result_seconds"),
        "{{provider}}",
        unit="s",
    ),
    Panel(
        "Lag in records",
        f"sum by (provider, stage) ({_in('paynotify_lag_records')})",
        "{{provider}} {{stage}}",
    ),
    Panel(
        "Provider calls by outcome",
        f"sum by (provider, outcome) {_per_second('paynotify_provider_calls_total')}",
        "{{provider}} {{outcome}}",
        unit="reqps",
    ),
    Panel(
        "Merchants whose lookups are held back, as every call fails",
        f"max by (provider, merchant) ({_in('paynotify_provider_circuit_open')})",
        "{{provider}} {{merchant}}",
    ),
    Panel(
        "Expected payments",
        f"sum by (provider, outcome) {_increase('paynotify_expected_payments_total')}",
        "{{provider}} {{outcome}}",
    ),
    Panel(
        "Refused transitions",
        f"sum by (provider, previous, refused) {_increase('paynotify_refused_transitions_total')}",
        "{{provider}} {{previous}} to {{refused}}",
    ),
    Panel(
        "Time until certificates and tokens expire",
        f"min by (credential) ({_in('paynotify_credential_expires_timestamp_seconds')}) - time()",
        "{{credential}}",
        unit="s",
        width=24,
    ),
)

#: Additional panels of single stages.
_OF_STAGE: Final[dict[str, tuple[Panel, ...]]] = {
    "verify": (
        Panel(
            "Rejections by reason",
            f"sum by (provider, reason) {_per_second('paynotify_stage_outcomes_total', _REJECTED)}",
            "{{provider}} {{reason}}",
            unit="reqps",
        ),
        Panel(
            "Share of rejected notifications in an hour",
            f"sum by (provider) {_increase('paynotify_stage_outcomes_total', _REJECTED_CALLS)}"
            f" / sum by (provider) {_increase('paynotify_stage_outcomes_total', _JUDGED_CALLS)}",
            "{{provider}}",
            unit="percentunit",
            red_from=0.2,
        ),
        Panel(
            "Age of public keys",
            f"time() - min by (provider, merchant) ({_in('paynotify_key_set_fetched_timestamp_seconds')} > 0)",
            "{{provider}} {{merchant}}",
            unit="s",
        ),
        Panel(
            "Odd notifications",
            f"sum by (provider, warning) {_increase('paynotify_notification_warnings_total')}",
            "{{provider}} {{warning}}",
        ),
        Panel(
            "Providers' alerts about their service",
            f"sum by (provider, kind, state) {_increase('paynotify_provider_alerts_total')}",
            "{{provider}} {{kind}} {{state}}",
        ),
    ),
    "fetch": (
        Panel(
            "Duration of provider calls, 90th percentile",
            _p90("paynotify_fetch_seconds"),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Retries by reason",
            f"sum by (provider, reason) {_per_second('paynotify_lookup_retries_total')}",
            "{{provider}} {{reason}}",
            unit="reqps",
        ),
    ),
    "interpret": (
        Panel(
            "Unknown statuses",
            f"sum by (provider) {_increase('paynotify_unknown_statuses_total')}",
            "{{provider}}",
        ),
        Panel(
            "Odd responses",
            f"sum by (provider, warning) {_increase('paynotify_response_warnings_total')}",
            "{{provider}} {{warning}}",
        ),
    ),
    "resolve": (
        Panel(
            "Late successes",
            f"sum by (provider) {_increase('paynotify_late_successes_total')}",
            "{{provider}}",
        ),
        Panel(
            "Mismatches with the expected payment",
            f"sum by (provider, check) {_increase('paynotify_mismatches_total')}",
            "{{provider}} {{check}}",
        ),
        Panel(
            "Money returned without a refund",
            f"sum by (provider) {_increase('paynotify_returned_payments_total')}",
            "{{provider}}",
            red_from=0.5,
        ),
        Panel(
            "More refunded than captured",
            f"sum by (provider) {_increase('paynotify_over_refunds_total')}",
            "{{provider}}",
            red_from=0.5,
        ),
        Panel(
            "Payments looked up when their settlement was due",
            f"sum by (provider) {_increase('paynotify_settlements_due_total')}",
            "{{provider}}",
        ),
        Panel(
            "Settlements given up",
            f"sum by (provider) {_increase('paynotify_settlements_given_up_total')}",
            "{{provider}}",
            red_from=0.5,
        ),
    ),
    "orders": (
        Panel(
            "Expected payments",
            f"sum by (provider, outcome) {_increase('paynotify_expected_payments_total')}",
            "{{provider}} {{outcome}}",
        ),
    ),
    "charge": (
        Panel(
            "Requests by state",
            f"sum by (provider, action, state) {_increase('paynotify_requests_total')}",
            "{{provider}} {{action}} {{state}}",
        ),
        Panel("Uncertain", f"sum({_in('paynotify_requests_uncertain')})", "uncertain", red_from=0.5),
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
                f"sum by (provider, outcome) {_per_second('paynotify_stage_outcomes_total', here)}",
                "{{provider}} {{outcome}}",
                unit="reqps",
            ),
        )
    )
    return (
        Panel(
            "Records processed",
            f"sum by (provider) (rate({_in('paynotify_stage_received_total', here)}[5m]))",
            "{{provider}}",
            unit="reqps",
        ),
        *ended,
        Panel(
            "Lag by partition, in records",
            f"max by (topic, partition) ({_in('paynotify_lag_records', here)})",
            "{{topic}}/{{partition}}",
        ),
        Panel(
            "Stalled for",
            f"max by (topic, partition) ({_in('paynotify_partition_stalled_seconds', here)})",
            "{{topic}}/{{partition}}",
            unit="s",
            red_from=120,
        ),
        Panel(
            "Duration of a batch, 90th percentile",
            _p90("paynotify_stage_batch_seconds", here),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Errors by kind",
            f"sum by (provider, kind) {_increase('paynotify_stage_errors_total', here)}",
            "{{provider}} {{kind}}",
        ),
        *_OF_STAGE[stage],
    )
