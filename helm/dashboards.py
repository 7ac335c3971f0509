"""The Grafana dashboards as data: one overview, and one for each stage. ``python -m helm.generate`` writes them.

The overview answers three questions in this order: does money news flow, for whom not, and since when. Every panel is a
row of a table here, so that a query is read, reviewed and tested as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from helm.values import STAGES

_HERE: Final = 'namespace="$namespace"'
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24
_UNAVAILABLE: Final = 'outcome=~"full|not_stored"'
_REJECTED: Final = 'stage="verify",outcome="rejected"'
_NO_RETRIES: Final = 'topic!~".*retry.*"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title says what is good, ``query`` asks Prometheus, ``legend`` names the lines.

    A stat shows what is true now: after the processes are gone it shows nothing, not what was last good.
    """

    title: str
    query: str
    legend: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    red_from: float | None = None


def _in(metric: str, labels: str = "") -> str:
    return f"{metric}{{{_HERE}{',' if labels else ''}{labels}}}"


def _counted(metric: str, hours: int) -> str:
    """What was counted in the last hours, also by counters that were not there before.

    A counter of rare things comes with its first case, and what it came with is no increase to Prometheus.
    """
    counter, within = _in(metric), f"[{hours}h]"
    before, grown = f"{counter} offset {hours}h", f"increase({counter}{within})"
    return f"(({grown} and {before}) or ({grown} + min_over_time({counter}{within})))"


def _nine_of_ten(histogram: str, labels: str = "") -> str:
    """What nine of ten stay within, by provider."""
    return f"histogram_quantile(0.9, sum by (provider, le) (rate({_in(histogram + '_bucket', labels)}[5m])))"


OVERVIEW: Final = (
    Panel(
        "Money news: results a minute",
        f"sum by (provider) (rate({_in('paynotify_receive_to_result_seconds_count')}[5m])) * 60",
        "{{provider}}", kind="stat", width=8,
    ),
    Panel(
        "Last notification, ago",
        f"time() - (max by (provider) ({_in('paynotify_last_notification_timestamp_seconds')}) > 0)",
        "{{provider}}", unit="s", kind="stat", width=8, red_from=1800,
    ),
    Panel(
        "Furthest behind",
        f"topk(3, max by (provider, stage) ({_in('paynotify_oldest_unprocessed_age_seconds', _NO_RETRIES)}))",
        "{{provider}} {{stage}}", unit="s", kind="stat", width=8, red_from=300,
    ),
    Panel(
        "Answered 503 (none is good)",
        f"sum(rate({_in('paynotify_ingest_requests_total', _UNAVAILABLE)}[5m]))",
        "503", unit="reqps", kind="stat", width=6, red_from=0.001,
    ),
    Panel(
        "Dead letters today (none is good)",
        f"round(sum by (provider) {_counted('paynotify_lookups_dead_total', 24)})",  # an increase is no whole number
        "{{provider}}", kind="stat", width=6, red_from=0.5,
    ),
    Panel(
        "Silent providers (none is good)",
        f"max by (provider) ({_in('paynotify_provider_silent')})",
        "{{provider}}", kind="stat", width=6, red_from=0.5,
    ),
    Panel(
        "Uncertain charges (none is good)",
        f"sum({_in('paynotify_requests_uncertain')})",
        "uncertain", kind="stat", width=6, red_from=0.5,
    ),
    Panel(
        "Notifications stored",
        f"sum by (provider) (rate({_in('paynotify_ingest_stored_total')}[5m]))",
        "{{provider}}", unit="reqps",
    ),
    Panel(
        "From receipt to result, 9 of 10 within",
        _nine_of_ten("paynotify_receive_to_result_seconds"),
        "{{provider}}", unit="s",
    ),
    Panel(
        "Records waiting",
        f"sum by (provider, stage) ({_in('paynotify_lag_records')})",
        "{{provider}} {{stage}}",
    ),
    Panel(
        "Provider calls by how they ended",
        f"sum by (provider, outcome) (rate({_in('paynotify_provider_calls_total')}[5m]))",
        "{{provider}} {{outcome}}", unit="reqps",
    ),
    Panel(
        "Expected payments",
        f"sum by (provider, outcome) (increase({_in('paynotify_expected_payments_total')}[1h]))",
        "{{provider}} {{outcome}}",
    ),
    Panel(
        "Refused transitions",
        f"sum by (provider, previous, refused) {_counted('paynotify_refused_transitions_total', 1)}",
        "{{provider}} {{previous}} to {{refused}}",
    ),
    Panel(
        "Certificates and tokens expire in",
        f"min by (credential) ({_in('paynotify_credential_expires_timestamp_seconds')}) - time()",
        "{{credential}}", unit="s", width=24,
    ),
)  # fmt: skip

#: What only some stages have, besides what all have.
OF_STAGE: Final[dict[str, tuple[Panel, ...]]] = {
    "verify": (
        Panel(
            "Rejected, by reason",
            f"sum by (provider, reason) (rate({_in('paynotify_stage_outcomes_total', _REJECTED)}[5m]))",
            "{{provider}} {{reason}}", unit="reqps",
        ),
    ),
    "fetch": (
        Panel(
            "Provider calls take, 9 of 10 within",
            _nine_of_ten("paynotify_fetch_seconds"),
            "{{provider}}", unit="s",
        ),
        Panel(
            "Put off, by reason",
            f"sum by (provider, reason) (rate({_in('paynotify_lookup_retries_total')}[5m]))",
            "{{provider}} {{reason}}", unit="reqps",
        ),
    ),
    "interpret": (
        Panel(
            "Words without a row in the table",
            f"sum by (provider) {_counted('paynotify_unknown_statuses_total', 1)}",
            "{{provider}}",
        ),
    ),
    "resolve": (
        Panel(
            "Failures that became successes",
            f"sum by (provider) {_counted('paynotify_late_successes_total', 1)}",
            "{{provider}}",
        ),
        Panel(
            "Not what the shop expects",
            f"sum by (provider, check) {_counted('paynotify_mismatches_total', 1)}",
            "{{provider}} {{check}}",
        ),
    ),
    "orders": (
        Panel(
            "Expected payments",
            f"sum by (provider, outcome) (increase({_in('paynotify_expected_payments_total')}[1h]))",
            "{{provider}} {{outcome}}",
        ),
    ),
    "charge": (
        Panel(
            "Requests, by state",
            f"sum by (provider, action, state) (rate({_in('paynotify_requests_total')}[5m]))",
            "{{provider}} {{action}} {{state}}", unit="reqps",
        ),
        Panel("Uncertain", f"sum({_in('paynotify_requests_uncertain')})", "uncertain", red_from=0.5),
    ),
}  # fmt: skip


def _of_every_stage(stage: str) -> tuple[Panel, ...]:
    here = f'stage="{stage}"'
    return (
        Panel(
            "Records taken",
            f"sum by (provider) (rate({_in('paynotify_stage_received_total', here)}[5m]))",
            "{{provider}}", unit="reqps",
        ),
        Panel(
            "How they ended",
            f"sum by (provider, outcome) (rate({_in('paynotify_stage_outcomes_total', here)}[5m]))",
            "{{provider}} {{outcome}}", unit="reqps",
        ),
        Panel(
            "Records waiting, by partition",
            _in("paynotify_lag_records", here),
            "{{topic}}/{{partition}}",
        ),
        Panel(
            "Stands still for",
            _in("paynotify_standstill_seconds", here),
            "{{topic}}/{{partition}}", unit="s", red_from=120,
        ),
        Panel(
            "A batch takes, 9 of 10 within",
            _nine_of_ten("paynotify_stage_batch_seconds", here),
            "{{provider}}", unit="s",
        ),
        Panel(
            "Batches repeated or taken apart",
            f"sum by (provider, kind) (rate({_in('paynotify_stage_errors_total', here)}[5m]))",
            "{{provider}} {{kind}}", unit="reqps",
        ),
    )  # fmt: skip


def dashboards() -> dict[str, str]:
    """Every dashboard's file name and content."""
    made = {"paynotify-overview.json": _dashboard("paynotify-overview", "paynotify: overview", OVERVIEW)}
    for stage in STAGES:
        panels = (*_of_every_stage(stage), *OF_STAGE[stage])
        made[f"paynotify-{stage}.json"] = _dashboard(f"paynotify-{stage}", f"paynotify: {stage}", panels)
    return made


def queries() -> list[str]:
    """Every query of every dashboard."""
    panels = [*OVERVIEW, *(panel for stage in STAGES for panel in (*_of_every_stage(stage), *OF_STAGE[stage]))]
    return [panel.query for panel in panels]


def _dashboard(uid: str, title: str, panels: Sequence[Panel]) -> str:
    x = y = 0
    placed: list[dict[str, Any]] = []
    for number, panel in enumerate(panels, start=1):
        height = 5 if panel.kind == "stat" else 8
        if x + panel.width > _WIDTH:
            x, y = 0, y + height
        placed.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height}))
        x += panel.width
        if x >= _WIDTH:
            x, y = 0, y + height
    document = {
        "uid": uid,
        "title": title,
        "tags": ["paynotify"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["paynotify"], "title": "paynotify", "asDropdown": True}],
        "templating": {"list": _variables()},
        "panels": placed,
    }
    return json.dumps(document, indent=1) + "\n"


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "namespace",
            "type": "query",
            "label": "Namespace",
            "datasource": _SOURCE,
            "query": "label_values(paynotify_ingest_in_flight, namespace)",
            "refresh": 2,
        },
    ]


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind == "stat"
    options = {"options": {"textMode": "value_and_name"}} if now else {}  # of one alone it must be seen whose it is
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    if panel.red_from is not None and not now:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [
            {"refId": "A", "expr": panel.query, "legendFormat": panel.legend, "instant": now, "range": not now}
        ],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        **options,
    }


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    return {"mode": "absolute", "steps": steps}
