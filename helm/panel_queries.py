"""Builds the PromQL of the dashboards' panels: increases that count a first case, rates, percentiles, newest times."""

from __future__ import annotations

from typing import Final

_HERE: Final = 'namespace="$namespace"'
_MINUTES_SECONDS: Final = 300
_HOUR_SECONDS: Final = 3600


def series(metric: str, labels: str = "") -> str:
    """The metric's series of the dashboard's namespace."""
    return f"{metric}{{{_HERE}{',' if labels else ''}{labels}}}"


def increase(metric: str, labels: str = "", seconds: int = _HOUR_SECONDS) -> str:
    """The increase of each counter in the last seconds, including its first case.

    A counter with a label of many values appears with its first case, which Prometheus does not take for an increase:
    208 dead letters within one scrape would be 0. The whole value of a new counter therefore counts. ``_created`` says
    that it is new; its absence before does not, or every counter would be new after an outage of Prometheus.
    """
    counter, created = series(metric, labels), series(metric.removesuffix("_total") + "_created", labels)
    within = f"[{seconds}s]"
    young = f"last_over_time({created}{within}) > time() - {seconds} unless {counter} offset {seconds}s"
    return f"((max_over_time({counter}{within}) and {young}) or increase({counter}{within}))"


def per_second(metric: str, labels: str = "") -> str:
    """The rate of each counter over the last five minutes."""
    return f"({increase(metric, labels, _MINUTES_SECONDS)} / {_MINUTES_SECONDS})"


def p90(histogram: str, labels: str = "", by: str = "provider") -> str:
    """The 90th percentile, by one label."""
    return f"histogram_quantile(0.9, sum by ({by}, le) (rate({series(histogram + '_bucket', labels)}[5m])))"


def newest(gauge: str) -> str:
    """The newest time by provider. A process that has just started has none, and a provider that a release cut off must
    still show: what earlier processes exported within a week counts."""
    return f"(max by (provider) (max_over_time({series(gauge)}[7d])) > 0)"
