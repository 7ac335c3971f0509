"""The chart's pages in ``docs/reference/``: every alert, and every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paynotify.schemas.generate import markdown

_ROOT: Final = Path(__file__).parents[1]
RUNBOOK: Final = _ROOT / "docs" / "operations" / "runbook"
ALERTS_PAGE: Final = _ROOT / "docs" / "reference" / "alerts.md"
CHART_PAGE: Final = _ROOT / "docs" / "reference" / "chart.md"

_ALERTS: Final = """\
# Alerts

<!-- Generated from the chart's template and the runbook by `make schemas`. Do not edit. -->

The chart installs these rules with `alerts.enabled`. `critical` is for the person on call, `warning` can wait for the
morning. Each name leads to its page of the [runbook](../operations/runbook/README.md): what it means, how to diagnose
it, how to fix it.
"""
_CHART: Final = """\
# Values of the chart

<!-- Generated from `values.yaml` by `make schemas`. Do not edit. -->

[Kubernetes](../operations/kubernetes.md) says how to use them. `values.schema.json` and the chart's own checks refuse
values that would do silent harm.
"""
_RULE: Final = re.compile(r"^ {8}- alert: (\w+)\n(.*?)(?=^ {8}- alert: |\Z)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What an alert rule of the chart's template says, beside its expression."""

    name: str
    severity: str
    lasting: str


def alert_rules(template: str) -> tuple[AlertRule, ...]:
    """The rules in the order of the template."""
    return tuple(_rules(template))


def _rules(template: str) -> Iterator[AlertRule]:
    for name, rule in _RULE.findall(template):
        severity = re.search(r"severity: (\w+)", rule)
        duration = re.search(r"^ {10}for: (.+)$", rule, re.MULTILINE)
        assert severity is not None, f"{name} has no severity"
        yield AlertRule(name, severity[1], duration[1] if duration else "at once")


def alerts_page(template: str) -> str:
    """The Markdown page of all alerts."""
    rows = (
        (f"[{one.name}](../operations/runbook/{one.name}.md)", one.severity, one.lasting, _meaning(one))
        for one in alert_rules(template)
    )
    return "\n".join([_ALERTS, *markdown.table(("alert", "severity", "for", "what it means"), rows), ""])


def chart_page(table: str) -> str:
    """The Markdown page of all values."""
    return f"{_CHART}\n{table}"


def _meaning(rule: AlertRule) -> str:
    """The first sentence of the runbook's page, without links: they are relative to that page."""
    text = (RUNBOOK / f"{rule.name}.md").read_text("utf-8")
    section = text.split("## What it means\n", 1)[1].split("\n## ", 1)[0]
    paragraph = " ".join(section.strip().split("\n\n", 1)[0].split())
    sentence = re.split(r"(?<=[.!?:]) (?=[A-Z`])", paragraph)[0].rstrip(":")
    return _LINK.sub(r"\1", sentence)
