"""Stalls are logged: the process is restarted for one, and its metrics end with it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kafka import TopicPartition
from prometheus_client import CollectorRegistry

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.lag import LagMonitor
from paynotify.processors.runtime.runner import StageRunner
from paynotify.schemas.configuration.kafka import KafkaSettings

PLACE = TopicPartition("lookups.trustpayments", 2)
STALLED = ("partition_stalled", "fetch.trustpayments", "lookups.trustpayments", 2)
RECOVERED = ("partition_recovered", *STALLED[1:])


class Brokers:
    """One partition with a record that nobody commits, until it is `done`."""

    done = False

    def end_offsets(self, places: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 7)

    beginning_offsets = end_offsets

    def list_group_offsets(self, groups: Any) -> dict[str, dict[TopicPartition, Any]]:
        return {group: {PLACE: SimpleNamespace(offset=7 if self.done else 6)} for group in groups}

    def assign(self, places: Any) -> None: ...

    def seek(self, place: Any, offset: int) -> None: ...

    def poll(self, timeout_ms: int) -> dict[Any, list[str]]:
        return {} if self.done else {PLACE: ["a record"]}

    def position(self, place: Any) -> int:
        return 7


class Fetch:
    """A stage runner that owns the partition and does nothing."""

    name = "fetch.trustpayments"
    group = "paynotify.fetch.trustpayments"

    def halted(self) -> set[tuple[str, int]]:
        return set()

    def oldest_seconds(self, source: str, partition: int) -> None:
        return None

    def assigned(self) -> list[tuple[str, int]]:
        return [tuple(PLACE)]

    def progressed_at(self, source: str, partition: int) -> float:
        return 0.0


def test_stall_is_logged_once_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "paynotify.lag")
    runner = cast(StageRunner, Fetch())
    # as if every partition had stood still for too long at once
    monitor = LagMonitor(KafkaSettings(bootstrap_servers="nowhere:0"), [runner], Metrics(CollectorRegistry()), -1.0)
    brokers = Brokers()

    def told() -> list[tuple[Any, ...]]:
        monitor._measure(brokers, brokers)
        fields = [(one.getMessage(), cast(Any, one).fields) for one in caplog.records]
        return [(name, *(told[field] for field in ("runner", "topic", "partition"))) for name, told in fields]

    assert told() == [STALLED]
    assert told() == [STALLED], "once, however often it is measured"
    assert monitor.stalled() == ("fetch.trustpayments stalled at lookups.trustpayments/2 for 0 s",)
    brokers.done = True
    assert told() == [STALLED, RECOVERED]
    assert monitor.stalled() == ()
