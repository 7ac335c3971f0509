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
_MINUTES, _HOUR, _DAY = 300, 3600, 24 * 3600
_UNAVAILABLE: Final = 'outcome=~"full|not_stored"'
_REJECTED: Final = 'stage="verify",outcome="rejected"'
_NO_RETRIES: Final = 'topic!~".*retry.*"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title says what is good, ``query`` asks Prometheus, ``legend`` names the lines.

    A stat shows what is true now: after the processes are gone it shows nothing or for how long, not what was good.
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


def _counted(metric: str, labels: str = "", seconds: int = _HOUR) -> str:
    """What each counter has counted in the last seconds, from its first case on.

    A counter with a label of many values comes with its first case, and what it came with is no increase to Prometheus:
    208 dead letters within one scrape would be 0. Of a young one all it has counted counts. That it is young is told by
    ``_created``, not by its absence before, or every counter would be young after Prometheus was away.
    """
    counter, created = _in(metric, labels), _in(metric.removesuffix("_total") + "_created", labels)
    within = f"[{seconds}s]"
    young = f"last_over_time({created}{within}) > time() - {seconds} unless {counter} offset {seconds}s"
    return f"((max_over_time({counter}{within}) and {young}) or increase({counter}{within}))"


def _per_second(metric: str, labels: str = "") -> str:
    """How often each counter counts, by the last five minutes."""
    return f"({_counted(metric, labels, _MINUTES)} / {_MINUTES})"


def _nine_of_ten(histogram: str, labels: str = "") -> str:
    """What nine of ten stay within, by provider."""
    return f"histogram_quantile(0.9, sum by (provider, le) (rate({_in(histogram + '_bucket', labels)}[5m])))"


#: When each provider was heard of. A process that was just started has not heard of any yet, and a release that cut one
#: off is when it is asked: what an earlier process heard within a week counts.
_HEARD: Final = f"(max by (provider) (max_over_time({_in('paynotify_last_notification_timestamp_seconds')}[7d])) > 0)"

OVERVIEW: Final = (
    Panel(
        "Money news: results a minute",
        # of who was heard of and has no result since the workers began, too
        f"sum by (provider) (rate({_in('paynotify_receive_to_result_seconds_count')}[5m])) * 60 or 0 * {_HEARD}",
        "{{provider}}",
        kind="stat",
        width=8,
        green_from=0.001,
    ),
    Panel(
        "Last notification, ago",
        f"time() - {_HEARD}",
        "{{provider}}",
        unit="s",
        kind="stat",
        width=8,
        red_from=1800,
    ),
    Panel(
        "Furthest behind",
        f"topk(3, max by (provider, stage) ({_in('paynotify_oldest_unprocessed_age_seconds', _NO_RETRIES)}))",
        "{{provider}} {{stage}}",
        unit="s",
        kind="stat",
        width=8,
        red_from=300,
    ),
    Panel(
        "Answered 503 (none is good)",
        f"sum(rate({_in('paynotify_ingest_requests_total', _UNAVAILABLE)}[5m]))",
        "503",
        unit="reqps",
        kind="stat",
        width=6,
        red_from=0.001,
    ),
    Panel(
        "Dead letters today (none is good)",
        # an increase is no whole number
        f"round(sum by (provider) {_counted('paynotify_dead_letters_total', seconds=_DAY)})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
    ),
    Panel(
        "Silent providers (none is good)",
        f"max by (provider) ({_in('paynotify_provider_silent')})",
        "{{provider}}",
        kind="stat",
        width=6,
        red_from=0.5,
    ),
    Panel(
        "Uncertain charges (none is good)",
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
        "From receipt to result, 9 of 10 within",
        _nine_of_ten("paynotify_receive_to_result_seconds"),
        "{{provider}}",
        unit="s",
    ),
    Panel(
        "Records waiting",
        f"sum by (provider, stage) ({_in('paynotify_lag_records')})",
        "{{provider}} {{stage}}",
    ),
    Panel(
        "Provider calls by how they ended",
        f"sum by (provider, outcome) {_per_second('paynotify_provider_calls_total')}",
        "{{provider}} {{outcome}}",
        unit="reqps",
    ),
    Panel(
        "Expected payments",
        f"sum by (provider, outcome) {_counted('paynotify_expected_payments_total')}",
        "{{provider}} {{outcome}}",
    ),
    Panel(
        "Refused transitions",
        f"sum by (provider, previous, refused) {_counted('paynotify_refused_transitions_total')}",
        "{{provider}} {{previous}} to {{refused}}",
    ),
    Panel(
        "Certificates and tokens expire in",
        f"min by (credential) ({_in('paynotify_credential_expires_timestamp_seconds')}) - time()",
        "{{credential}}",
        unit="s",
        width=24,
    ),
)

#: What only some stages have, besides what all have.
OF_STAGE: Final[dict[str, tuple[Panel, ...]]] = {
    "verify": (
        Panel(
            "Rejected, by reason",
            f"sum by (provider, reason) {_per_second('paynotify_stage_outcomes_total', _REJECTED)}",
            "{{provider}} {{reason}}",
            unit="reqps",
        ),
    ),
    "fetch": (
        Panel(
            "Provider calls take, 9 of 10 within",
            _nine_of_ten("paynotify_fetch_seconds"),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Put off, by reason",
            f"sum by (provider, reason) {_per_second('paynotify_lookup_retries_total')}",
            "{{provider}} {{reason}}",
            unit="reqps",
        ),
    ),
    "interpret": (
        Panel(
            "Words without a row in the table",
            f"sum by (provider) {_counted('paynotify_unknown_statuses_total')}",
            "{{provider}}",
        ),
    ),
    "resolve": (
        Panel(
            "Failures that became successes",
            f"sum by (provider) {_counted('paynotify_late_successes_total')}",
            "{{provider}}",
        ),
        Panel(
            "Not what the shop expects",
            f"sum by (provider, check) {_counted('paynotify_mismatches_total')}",
            "{{provider}} {{check}}",
        ),
    ),
    "orders": (
        Panel(
            "Expected payments",
            f"sum by (provider, outcome) {_counted('paynotify_expected_payments_total')}",
            "{{provider}} {{outcome}}",
        ),
    ),
    "charge": (
        Panel(
            "Requests, by state",
            f"sum by (provider, action, state) {_counted('paynotify_requests_total')}",
            "{{provider}} {{action}} {{state}}",
        ),
        Panel("Uncertain", f"sum({_in('paynotify_requests_uncertain')})", "uncertain", red_from=0.5),
    ),
}


def _of_every_stage(stage: str) -> tuple[Panel, ...]:
    here = f'stage="{stage}"'
    # orders and requests are many records each: how they end is on a panel of their own
    ended = (
        ()
        if stage in ("orders", "charge")
        else (
            Panel(
                "How they ended",
                f"sum by (provider, outcome) {_per_second('paynotify_stage_outcomes_total', here)}",
                "{{provider}} {{outcome}}",
                unit="reqps",
            ),
        )
    )
    return (
        Panel(
            "Records taken",
            f"sum by (provider) (rate({_in('paynotify_stage_received_total', here)}[5m]))",
            "{{provider}}",
            unit="reqps",
        ),
        *ended,
        Panel(
            "Records waiting, by partition",
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
            "A batch takes, 9 of 10 within",
            _nine_of_ten("paynotify_stage_batch_seconds", here),
            "{{provider}}",
            unit="s",
        ),
        Panel(
            "Batches repeated or taken apart",
            f"sum by (provider, kind) {_counted('paynotify_stage_errors_total', here)}",
            "{{provider}} {{kind}}",
        ),
    )


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
    if panel.green_from is not None:
        steps = [{"color": "text", "value": None}, {"color": "green", "value": panel.green_from}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    return {"mode": "absolute", "steps": steps}
