"""Writes ``docs/reference/metrics.md`` from the metric definitions.

Run it with ``python -m paynotify.ops.generate_metrics``; a unit test compares the page with the definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from paynotify.deliver.metrics import DeliverMetrics
from paynotify.ingest.metrics import IngestMetricSet
from paynotify.processors.metrics import Metrics
from paynotify.schemas.generate import markdown
from paynotify.service.expiry import CREDENTIAL_EXPIRES
from paynotify.service.management import READY
from paynotify.service.metrics import MetricDefinition

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "metrics.md"

_INTRODUCTION: Final = """\
# Metrics

<!-- Generated from the metric definitions by `python -m paynotify.ops.generate_metrics`. Do not edit. -->

Each process serves `/metrics` on its management port in the Prometheus text format. A histogram also has the series
`_bucket`, `_sum` and `_count`. Label values come from closed lists, never from callers. The chart's alerts and
dashboards use these metrics; the [runbook](../operations/runbook/README.md) has a page for each alert.
"""


def page() -> str:
    """The Markdown page."""
    parts = [_INTRODUCTION]
    parts += _section("All processes", (READY, CREDENTIAL_EXPIRES))
    parts += _section("Ingress", IngestMetricSet.definitions.values())
    parts += _section("Workers", Metrics.definitions.values())
    parts += _section("Outbound webhooks", DeliverMetrics.definitions.values())
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, definitions: Iterable[MetricDefinition[Any]]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from markdown.table(("metric", "kind", "meaning", "labels"), map(_row, definitions))
    yield ""


def _row(definition: MetricDefinition[Any]) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in definition.labels)
    kind = definition.kind.__name__.lower()
    return f"`{definition.name}`", kind, f"{definition.help}{_buckets(definition)}", labels


def _buckets(definition: MetricDefinition[Any]) -> str:
    if not definition.buckets:
        return ""
    return f" (buckets from {definition.buckets[0]:g} to {definition.buckets[-1]:g})"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
