"""Counters that cost the event loop an addition, and become Prometheus's when somebody looks.

Prometheus's own take a lock for each increment, and the ingress has several for each call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from prometheus_client import Counter, Metric
from prometheus_client.registry import Collector


class TalliedCounter:
    """A counter to which only the event loop adds."""

    __slots__ = ("_counter", "_shown", "count")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._shown = 0
        self.count = 0

    def inc(self) -> None:
        self.count += 1

    def show(self) -> None:
        """Bring the counter up to date."""
        count = self.count  # read once: the event loop may add meanwhile
        self._counter.inc(count - self._shown)
        self._shown = count


class Tallies(Collector):
    """Brings every counter up to date for each scrape. It must be registered before them, and has no metric itself."""

    def __init__(self) -> None:
        self._tallies: list[TalliedCounter] = []
        self._lock = threading.Lock()

    def of(self, counter: Counter) -> TalliedCounter:
        """The tally of a counter."""
        tally = TalliedCounter(counter)
        self._tallies.append(tally)
        return tally

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        with self._lock:  # scrapes may overlap
            for tally in self._tallies:
                tally.show()
        return ()
