"""Counts of a batch on their way into a metric."""

from __future__ import annotations

from collections import Counter

from prometheus_client import Counter as CounterMetric


class Tally:
    """Counts by label values, which are added to a metric at once.

    For each record the metric would look up its labels and take a lock, which costs as much as deriving an id.
    """

    def __init__(self, metric: CounterMetric, *common: str) -> None:
        """``common`` are the values of the metric's first labels, the same for all counts."""
        self._metric = metric
        self._common = common
        self._counts: Counter[tuple[str, ...]] = Counter()

    def count(self, *values: str) -> None:
        """Count one with these values of the other labels."""
        self._counts[values] += 1

    def publish(self) -> None:
        """Add the counts to the metric and begin again."""
        for values, count in self._counts.items():
            self._metric.labels(*self._common, *values).inc(count)
        self._counts.clear()
