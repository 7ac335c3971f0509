"""A dashboard of the chart, read and asked as Grafana would: variables, intervals, legends."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from paynotify.schemas.errors import ConfigurationError
from tests.pictures.prometheus import SCRAPED_EVERY_SECONDS, Prometheus, QueryError, Series, Span

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_LABEL: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES: Final = re.compile(r"label_values\((\w+), (\w+)\)")
_KINDS: Final = ("stat", "timeseries")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel lies on the grid of 24 columns."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. ``steps`` are its thresholds in order; ``shows_thresholds`` whether they are lines in it."""

    title: str
    kind: str
    query: str
    instant: bool
    legend: str
    unit: str
    steps: Sequence[tuple[float, str]]
    shows_thresholds: bool
    place: Place

    def colour(self, value: float) -> str:
        """The name of the colour the thresholds give the value."""
        return [colour for least, colour in self.steps if value >= least or least == float("-inf")][-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One file: ``variables`` holds each variable's question for its values."""

    name: str
    title: str
    variables: Mapping[str, str]
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a panel's query gave, or why it gave nothing."""

    panel: Panel
    series: Sequence[Series] = field(default_factory=list)
    error: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is no value; NaN is none."""
        return all(math.isnan(value) for one in self.series for _, value in one.points)

    @property
    def zero(self) -> bool:
        """Whether every value is 0, or there is none."""
        return all(value == 0 or math.isnan(value) for one in self.series for _, value in one.points)

    def name(self, series: Series) -> str:
        """The line's name in the legend."""
        return named(self.panel.legend, series.labels)


def read(file: Path) -> Dashboard:
    """The dashboard in this file.

    Raises:
        ConfigurationError: it has a panel or a variable of a kind that can't be drawn.
    """
    document = json.loads(file.read_text("utf-8"))
    return Dashboard(
        name=file.stem.removeprefix("paynotify-"),
        title=document["title"],
        variables={one["name"]: one["query"] for one in document["templating"]["list"] if one["type"] != "datasource"},
        panels=[_panel(one) for one in document["panels"]],
    )


def _panel(one: Mapping[str, Any]) -> Panel:
    (target,) = one["targets"]
    if one["type"] not in _KINDS:
        raise ConfigurationError(f"{one['title']}: a panel of kind {one['type']} can't be drawn yet. Draw it.")
    defaults = one["fieldConfig"]["defaults"]
    steps = [
        (float("-inf") if step["value"] is None else float(step["value"]), step["color"])
        for step in defaults["thresholds"]["steps"]
    ]
    return Panel(
        title=one["title"],
        kind=one["type"],
        query=target["expr"],
        instant=target.get("instant", False),
        legend=target["legendFormat"],
        unit=defaults["unit"],
        steps=steps,
        shows_thresholds=defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off") != "off",
        place=Place(**one["gridPos"]),
    )


def ask(prometheus: Prometheus, dashboard: Dashboard, span: Span) -> list[Answer]:
    """Every panel's answer; an error is an answer too."""
    step = float(SCRAPED_EVERY_SECONDS)
    variables = {
        "__interval": f"{step:g}s",
        "__rate_interval": f"{4 * step:g}s",
        "__range": f"{span.end - span.start:.0f}s",
    }
    answers = []
    try:
        variables |= {name: _first_value(prometheus, query, span) for name, query in dashboard.variables.items()}
    except QueryError as error:
        return [Answer(panel, error=str(error)) for panel in dashboard.panels]
    for panel in dashboard.panels:
        try:
            query = filled(panel.query, variables)
            series = prometheus.at(query, span.end) if panel.instant else prometheus.over(query, span, step)
            answers.append(Answer(panel, sorted(series, key=lambda one: sorted(one.labels.items()))))
        except QueryError as error:
            answers.append(Answer(panel, error=str(error)))
    return answers


def _first_value(prometheus: Prometheus, query: str, span: Span) -> str:
    """What Grafana chooses for a variable that nobody has chosen a value for."""
    asked = _LABEL_VALUES.fullmatch(query)
    if asked is None:
        raise QueryError(f"a variable's query is not understood: {query}")
    values = prometheus.values(asked[2], asked[1], span)
    if not values:
        raise QueryError(f"a variable has no values: {query}")
    return values[0]


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The query with its variables' values.

    Raises:
        QueryError: it has a variable that nobody knows.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in variables:
            raise QueryError(f"${name} is no variable of the dashboard")
        return variables[name]

    return _VARIABLE.sub(value, text)


def named(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with the labels' values; a label that is not there is left out."""
    return _LABEL.sub(lambda found: labels.get(found[1], ""), legend).strip()
