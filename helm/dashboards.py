"""Renders the Grafana dashboards as JSON: an overview, one for each stage, and one of outbound webhooks.

``python -m helm.generate`` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from helm.console_links import LOCAL_URL, of_panel
from helm.dashboard_panels import OVERVIEW, Panel
from helm.delivery_panels import DELIVERIES
from helm.stage_panels import panels_of
from helm.values import STAGES

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24


def dashboards() -> dict[str, str]:
    """Every dashboard's file name and content."""
    files = {"paynotify-overview.json": _dashboard("paynotify-overview", "paynotify: overview", OVERVIEW)}
    for stage in STAGES:
        files[f"paynotify-{stage}.json"] = _dashboard(f"paynotify-{stage}", f"paynotify: {stage}", panels_of(stage))
    files["paynotify-deliver.json"] = _dashboard("paynotify-deliver", "paynotify: deliver", DELIVERIES)
    return files


def queries() -> list[str]:
    """Every query of every dashboard."""
    panels = [*OVERVIEW, *(panel for stage in STAGES for panel in panels_of(stage)), *DELIVERIES]
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
        "links": [
            {"type": "dashboards", "tags": ["paynotify"], "title": "paynotify", "asDropdown": True},
            {
                "type": "link",
                "title": "Console",
                "url": "${console:raw}/",
                "targetBlank": True,
                "icon": "external link",
            },
        ],
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
        # the chart puts `console.url` here; who has forwarded the console to their own machine needs no change
        {
            "name": "console",
            "type": "textbox",
            "label": "Console",
            "query": LOCAL_URL,
            "current": {"text": LOCAL_URL, "value": LOCAL_URL},
        },
    ]


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind == "stat"
    options = {"options": {"textMode": "value_and_name"}} if now else {}  # a single value must show its provider
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    if panel.red_from is not None and not now:
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    if panel.console:
        link = {"title": "Show in the console", "url": of_panel(panel.console), "targetBlank": True}
        defaults["links"] = [link]
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
