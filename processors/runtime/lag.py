"""Lag and age of every assigned partition, by the broker's own offsets.

Faust's own committed offset advances even if the commit failed, so nothing here trusts it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from processors.metrics import Metrics
from processors.runtime.runner import StageRunner
from processors.runtime.stalls import StallDetector
from schemas.configuration.model import KafkaSettings
from service.kafka_client import client_settings, opened
from service.logs import event

logger = logging.getLogger("paynotify.lag")

_EVERY_SECONDS: Final = 5.0
_REQUEST_MILLISECONDS: Final = 5_000


class LagWatch:
    """Asks the brokers every few seconds, in a thread of its own."""

    def __init__(
        self, kafka: KafkaSettings, units: Sequence[StageRunner], metrics: Metrics, stall_seconds: float
    ) -> None:
        self._kafka = kafka
        self._standstill_seconds = stall_seconds
        self._units = units
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._standstill = StallDetector()
        self._standing: tuple[str, ...] = ()
        self._reported: set[tuple[str, ...]] = set()
        self.answered_at: float | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():  # not where the brokers went away while the units started
            self._thread.join(timeout=_REQUEST_MILLISECONDS / 1000)

    def seconds_since_answer(self) -> float:
        """How long ago the brokers last answered; infinite before the first time."""
        return float("inf") if self.answered_at is None else time.monotonic() - self.answered_at

    def standing_still(self) -> tuple[str, ...]:
        """The partitions of this process that stand still, in words. Nobody's while the brokers are away."""
        return self._standing

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch()
            except Exception as error:  # noqa: BLE001 - a watch that has died would make a healthy worker look unready
                _unknown(error)
            self._stop.wait(_EVERY_SECONDS)

    def _watch(self) -> None:
        """Measure until the end. The clients stay through outages: kafka-python's connect again by themselves."""
        settings = {**client_settings(self._kafka, "paynotify-lag"), "request_timeout_ms": _REQUEST_MILLISECONDS}
        with (
            contextlib.closing(opened(KafkaAdminClient, settings)) as admin,
            contextlib.closing(opened(KafkaConsumer, settings)) as consumer,
        ):
            while not self._stop.is_set():
                try:
                    self._measure(admin, consumer)
                    self.answered_at = time.monotonic()
                except Exception as error:  # noqa: BLE001 - whatever it was, it is asked again
                    _unknown(error)
                    self._standstill.begin_anew()
                    self._standing = ()
                self._stop.wait(_EVERY_SECONDS)

    def _measure(self, admin: Any, consumer: Any) -> None:
        assigned = {unit: [TopicPartition(*place) for place in unit.assigned()] for unit in self._units}
        everywhere = sorted({place for places in assigned.values() for place in places})
        if not everywhere:
            self._forget_all_but(set())
            self._standing = ()
            return
        ends = consumer.end_offsets(everywhere)
        committed = admin.list_group_offsets({unit.group: places for unit, places in assigned.items() if places})
        self._standstill.keep((unit.name, *place) for unit, places in assigned.items() for place in places)
        standing = []
        self._forget_all_but({_labels(unit, place) for unit, places in assigned.items() for place in places})
        for unit, places in assigned.items():
            offsets = committed.get(unit.group, {})
            for place in places:
                known = offsets.get(place)
                done = max(0, known.offset if known is not None else 0)
                self._report(unit, place, ends[place] - done)
                seconds = self._stood(unit, place, done, ends[place])
                if seconds > self._standstill_seconds:
                    if _records_lie(consumer, place, done, ends[place]):
                        standing.append(
                            f"{unit.name} stands still at {place.topic}/{place.partition} for {seconds:.0f} s"
                        )
                    else:
                        seconds = 0.0
                self._metrics.standstill.labels(*_labels(unit, place)).set(seconds)
        self._standing = tuple(standing)

    def _forget_all_but(self, kept: set[tuple[str, ...]]) -> None:
        """Partitions that are another worker's now: what was last seen of them here would be told for ever."""
        for gone in self._reported - kept:
            for gauge in (self._metrics.lag, self._metrics.oldest, self._metrics.standstill):
                gauge.remove(*gone)
        self._reported = kept

    def _stood(self, unit: StageRunner, place: Any, done: int, end: int) -> float:
        moved = unit.moved_at(place.topic, place.partition)
        return self._standstill.note((unit.name, *place), done, end - done, moved, time.monotonic())

    def _report(self, unit: StageRunner, place: Any, lag: int) -> None:
        now = time.time()
        loop = unit.loops.get((place.topic, place.partition))
        oldest = loop.progress.oldest_seconds if loop is not None else None
        labels = _labels(unit, place)
        self._metrics.lag.labels(*labels).set(lag)
        self._metrics.oldest.labels(*labels).set(max(0.0, now - oldest) if oldest is not None and lag > 0 else 0.0)


def _labels(unit: StageRunner, place: Any) -> tuple[str, ...]:
    stage, _, provider = unit.name.partition(".")
    return provider or "all", stage, place.topic, str(place.partition)


def _records_lie(consumer: Any, place: Any, offset: int, end: int) -> bool:
    """Whether there are records at all: what ends a shop's transaction takes an offset that nobody can commit."""
    consumer.assign([place])
    consumer.seek(place, max(offset, consumer.beginning_offsets([place])[place]))
    deadline = time.monotonic() + _REQUEST_MILLISECONDS / 1000
    while time.monotonic() < deadline:
        if any(consumer.poll(timeout_ms=500).values()):
            return True
        if consumer.position(place) >= end:
            return False
    return False


def _unknown(error: Exception) -> None:
    event(logger, "lag_unknown", level=logging.WARNING, error=type(error).__name__)
