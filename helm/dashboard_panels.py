"""The panels of the overview, Grafana's first dashboard, and what a panel is.

The overview answers three questions in this order: are results published, for which provider not, and since when. Each
panel is a row of a table here, so that its query can be reviewed and tested as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from helm import console_links
from helm.panel_queries import increase, newest, p90, per_second, series

_DAY_SECONDS: Final = 24 * 3600
_UNAVAILABLE: Final = 'outcome=~"full|not_stored"'
_NO_RETRIES: Final = 'topic!~".*retry.*"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: ``query`` is PromQL, ``legend`` names the lines.

    A stat shows the current value. When the processes are gone it shows nothing, or for how long; never an old value.
    ``console`` is the console's page behind it, with labels of the series in braces; empty if none has more to say.
    """

    title: str
    query: str
    legend: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    red_from: float | None = None
    green_from: float | None = None
    console: str = ""


_HEARD_FROM: Final = newest("paynotify_last_notification_timestamp_seconds")

OVERVIEW: Final = (
    Panel(
        "Results per minute",
        # also of providers with notifications but without a result since the workers started
        f"sum by (provider) (rate({series('paynotify_receive_to_result_seconds_count')}[5m])) * 60"
        f" or 0 * {_HEARD_FROM}",
        "{{provider}}",
        kind="stat",
        width=6,
        green_from=0.001,
        console=console_links.FLOW,
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
        f"time() - {newest('paynotify_last_verified_timestamp_seconds')}",
        "{{provider}}",
        unit="s",
        kind="stat",
        width=6,
        red_from=1800,
    ),
    Panel(
        "Oldest unprocessed record",
        f"topk(3, max by (provider, stage) ({series('paynotify_oldest_unprocessed_age_seconds', _NO_RETRIES)}))",
        "{{provider}} {{stage}}",
        unit="s",
        kind="stat",
        width=6,
        red_from=300,
        console=console_links.FLOW,
    ),
    Panel(
        "Responses 503 (should be none)",
        f"sum(rate({series('paynotify_ingest_requests_total', _UNAVAILABLE)}[5m]))",
        "503",
        unit="reqps",
        kind="stat",
        width=6,
        red_from=0.001,
    ),
    Panel(
        "Dead letters in 24 hours (should be none)",
        # an extrapolated increase is not a whole number
        f"round(sum by (provider) {increase('paynotify_dead_letters_total', seconds=_DAY_SECONDS)})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
        console=console_links.DEAD,
    ),
    Panel(
        "Silent providers (should be none)",
        f"max by (provider) ({series('paynotify_provider_silent')})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
        console=console_links.SILENT,
    ),
    Panel(
        "Uncertain charges (should be none)",
        f"sum({series('paynotify_requests_uncertain')})",
        "uncertain",
        kind="stat",
        width=6,
        red_from=0.5,
        console=console_links.UNCERTAIN,
    ),
    Panel(
        "Bytes of calls stored",
        f"sum by (provider) (rate({series('paynotify_ingest_stored_bytes_total')}[5m]))",
        "{{provider}}",
        unit="Bps",
    ),
    Panel(
        "Card numbers masked (should be none)",
        f"sum by (provider) {increase('paynotify_ingest_card_numbers_masked_total')}"
        f" or sum by (provider) {increase('paynotify_card_numbers_masked_total')}",
        "{{provider}}",
    ),
    Panel(
        "Notifications stored",
        f"sum by (provider) (rate({series('paynotify_ingest_stored_total')}[5m]))",
        "{{provider}}",
        unit="reqps",
    ),
    Panel(
        "Receipt to result, 90th percentile",
        p90("paynotify_receive_to_result_seconds"),
        "{{provider}}",
        unit="s",
    ),
    Panel(
        "Lag in records",
        f"sum by (provider, stage) ({series('paynotify_lag_records')})",
        "{{provider}} {{stage}}",
        console=console_links.FLOW,
    ),
    Panel(
        "Provider calls by outcome",
        f"sum by (provider, outcome) {per_second('paynotify_provider_calls_total')}",
        "{{provider}} {{outcome}}",
        unit="reqps",
    ),
    Panel(
        "Merchants whose lookups are held back, as every call fails",
        f"max by (provider, merchant) ({series('paynotify_provider_circuit_open')})",
        "{{provider}} {{merchant}}",
        console=console_links.FLOW,
    ),
    Panel(
        "Expected payments",
        f"sum by (provider, outcome) {increase('paynotify_expected_payments_total')}",
        "{{provider}} {{outcome}}",
        console=console_links.OVERDUE,
    ),
    Panel(
        "Refused transitions",
        f"sum by (provider, previous, refused) {increase('paynotify_refused_transitions_total')}",
        "{{provider}} {{previous}} to {{refused}}",
        console=console_links.MONEY_TAKEN_BACK,
    ),
    Panel(
        "Time until certificates and tokens expire",
        f"min by (credential) ({series('paynotify_credential_expires_timestamp_seconds')}) - time()",
        "{{credential}}",
        unit="s",
        width=24,
    ),
)
