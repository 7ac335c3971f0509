"""Lag and age of every assigned partition, by the brokers' own offsets.

Faust's own committed offset advances even if the commit failed, so nothing here trusts it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.runner import StageRunner
from paynotify.processors.runtime.stalls import StagePartition, StallDetector
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.service.kafka_client import client_settings, opened
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.lag")

_INTERVAL_SECONDS: Final = 5.0
_REQUEST_MILLISECONDS: Final = 5_000


class LagMonitor:
    """Queries the brokers every few seconds, in a thread of its own."""

    def __init__(
        self, kafka: KafkaSettings, runners: Sequence[StageRunner], metrics: Metrics, stall_seconds: float
    ) -> None:
        self._kafka = kafka
        self._stall_seconds = stall_seconds
        self._runners = runners
        self._metrics = metrics
        self._gauges = (metrics.lag, metrics.oldest, metrics.stalled, metrics.halted)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._stalls = StallDetector()
        self._stalled: tuple[str, ...] = ()
        self._logged: frozenset[StagePartition] = frozenset()
        self._reported: set[tuple[str, ...]] = set()
        self.responded_at: float | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():  # it was never started if the brokers went away while the runners started
            self._thread.join(timeout=_REQUEST_MILLISECONDS / 1000)

    def seconds_since_response(self) -> float:
        """How long ago the brokers last responded; infinite before the first time."""
        return float("inf") if self.responded_at is None else time.monotonic() - self.responded_at

    def stalled(self) -> tuple[str, ...]:
        """The stalled partitions of this process, as sentences. None while the brokers are unreachable."""
        return self._stalled

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._monitor()
            except Exception as error:  # noqa: BLE001 - a monitor that ended would make a healthy worker unready
                _unknown(error)
            self._stop.wait(_INTERVAL_SECONDS)

    def _monitor(self) -> None:
        """Measure until stopped. The clients stay through outages: kafka-python's reconnect by themselves."""
        settings = {**client_settings(self._kafka, "paynotify-lag"), "request_timeout_ms": _REQUEST_MILLISECONDS}
        with (
            contextlib.closing(opened(KafkaAdminClient, settings)) as admin,
            contextlib.closing(opened(KafkaConsumer, settings)) as consumer,
        ):
            while not self._stop.is_set():
                try:
                    self._measure(admin, consumer)
                    self.responded_at = time.monotonic()
                except Exception as error:  # noqa: BLE001 - any failure is retried with the next measurement
                    _unknown(error)
                    self._stalls.reset()
                    self._note_stalled({})
                self._stop.wait(_INTERVAL_SECONDS)

    def _measure(self, admin: Any, consumer: Any) -> None:
        assigned = {runner: [TopicPartition(*place) for place in runner.assigned()] for runner in self._runners}
        everywhere = sorted({place for places in assigned.values() for place in places})
        if not everywhere:
            self._remove_gauges_except(set())
            self._note_stalled({})
            return
        ends = consumer.end_offsets(everywhere)
        committed = admin.list_group_offsets({runner.group: places for runner, places in assigned.items() if places})
        self._stalls.retain_only((runner.name, *place) for runner, places in assigned.items() for place in places)
        self._remove_gauges_except({_labels(runner, place) for runner, places in assigned.items() for place in places})
        stalled: dict[StagePartition, float] = {}
        for runner, places in assigned.items():
            offsets = committed.get(runner.group, {})
            halted = runner.halted()
            for place in places:
                known = offsets.get(place)
                done = max(0, known.offset if known is not None else 0)
                self._report_lag(runner, place, ends[place] - done)
                self._metrics.halted.labels(*_labels(runner, place)).set(tuple(place) in halted)
                seconds = self._stalled_seconds(runner, place, done, ends[place])
                if tuple(place) in halted:
                    seconds = 0.0  # it waits on purpose: a restart by the liveness probe would not help
                elif seconds > self._stall_seconds:
                    if _has_records(consumer, place, done, ends[place]):
                        stalled[runner.name, place.topic, place.partition] = seconds
                    else:
                        seconds = 0.0
                self._metrics.stalled.labels(*_labels(runner, place)).set(seconds)
        self._note_stalled(stalled)

    def _note_stalled(self, stalled: Mapping[StagePartition, float]) -> None:
        """Log each stall once: the process may be killed for it, and its metrics with it."""
        for place in sorted(stalled.keys() - self._logged):
            runner, topic, partition = place
            event(
                logger,
                "partition_stalled",
                level=logging.ERROR,
                runner=runner,
                topic=topic,
                partition=partition,
                seconds=round(stalled[place]),
            )
        for runner, topic, partition in sorted(self._logged - stalled.keys()):
            event(logger, "partition_recovered", runner=runner, topic=topic, partition=partition)
        self._logged = frozenset(stalled)
        self._stalled = tuple(
            f"{runner} stalled at {topic}/{partition} for {seconds:.0f} s"
            for (runner, topic, partition), seconds in stalled.items()
        )

    def _remove_gauges_except(self, assigned: set[tuple[str, ...]]) -> None:
        """Remove the gauges of revoked partitions: their last values would be exported for ever."""
        for revoked in self._reported - assigned:
            for gauge in self._gauges:
                gauge.remove(*revoked)
        self._reported = assigned

    def _stalled_seconds(self, runner: StageRunner, place: Any, done: int, end: int) -> float:
        progressed = runner.progressed_at(place.topic, place.partition)
        return self._stalls.observe((runner.name, *place), done, end - done, progressed, time.monotonic())

    def _report_lag(self, runner: StageRunner, place: Any, lag: int) -> None:
        oldest = runner.oldest_seconds(place.topic, place.partition)
        labels = _labels(runner, place)
        self._metrics.lag.labels(*labels).set(lag)
        age_seconds = max(0.0, time.time() - oldest) if oldest is not None and lag > 0 else 0.0
        self._metrics.oldest.labels(*labels).set(age_seconds)


def _labels(runner: StageRunner, place: Any) -> tuple[str, ...]:
    stage, _, provider = runner.name.partition(".")
    return provider or "all", stage, place.topic, str(place.partition)


def _has_records(consumer: Any, place: Any, offset: int, end: int) -> bool:
    """Whether there are records at all: a transaction's end marker takes an offset that no consumer can commit."""
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
