"""The way back from a page to the dashboard of Grafana that shows the same over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The chart's dashboards, by the page that they belong to; every other page has the overview.
_DASHBOARDS: Final[Mapping[str, str]] = {
    "/rejected": "paynotify-verify",
    "/dead": "paynotify-fetch",
    "/overdue": "paynotify-orders",
    "/requests": "paynotify-charge",
    "/payments": "paynotify-resolve",
    "/cases": "paynotify-resolve",
}
_OVERVIEW: Final = "paynotify-overview"


def dashboard_url(grafana_url: str, path: str) -> str:
    """The dashboard that belongs to a page; empty without a Grafana."""
    if not grafana_url:
        return ""
    return f"{grafana_url.rstrip('/')}/d/{_DASHBOARDS.get(path, _OVERVIEW)}"
