"""The worker's probes: what makes it unready, and what makes it worth a restart."""

from __future__ import annotations

import logging
import time
from typing import Any, cast

import pytest

from paynotify.processors.runtime.health import Health
from paynotify.processors.runtime.lag import LagMonitor
from paynotify.processors.runtime.runner import StageRunner
from paynotify.service.outage import BrokerAvailability


class Runner:
    """A stage runner of which a test says how it is."""

    name = "resolve"

    def __init__(self) -> None:
        self.waiting = False
        self.is_recovering = False
        self.places: dict[tuple[str, int], str] = {}

    def recovering(self) -> bool:
        return self.is_recovering

    def halted(self) -> dict[tuple[str, int], str]:
        return self.places


class Lag:
    """A lag monitor whose brokers responded ``age_seconds`` ago."""

    def __init__(self) -> None:
        self.age_seconds = 1.0
        self.stalls: tuple[str, ...] = ()

    @property
    def responded_at(self) -> float:
        return time.monotonic() - self.age_seconds

    def seconds_since_response(self) -> float:
        return self.age_seconds

    def stalled(self) -> tuple[str, ...]:
        return self.stalls


class Bench:
    """A worker that has started."""

    def __init__(self) -> None:
        self.brokers = BrokerAvailability(logging.getLogger("test"))
        self.health = Health(self.brokers)
        self.runner, self.lag = Runner(), Lag()

    def start(self) -> None:
        self.health.observe([cast(StageRunner, self.runner)], cast(LagMonitor, self.lag), None)
        self.health.started()


@pytest.fixture
def bench() -> Bench:
    started = Bench()
    started.start()
    return started


def probes(health: Health) -> tuple[Any, Any, Any]:
    return health.live(), health.ready(), health.startup()


def test_worker_that_processes_is_well(bench: Bench) -> None:
    assert probes(bench.health) == (None, None, None)


def test_worker_without_brokers_is_alive_and_not_ready() -> None:
    bench = Bench()
    bench.brokers.report("no broker answers")
    assert probes(bench.health) == (None, "no broker answers", None)


def test_halted_partition_makes_the_worker_unready_and_needs_no_restart(bench: Bench) -> None:
    bench.runner.places = {("observations", 3): "the last 50 records in a row raised an unexpected exception"}
    told = "resolve halted at observations/3: the last 50 records in a row raised an unexpected exception"
    assert probes(bench.health) == (None, told, None)


def test_stalled_partition_is_worth_a_restart(bench: Bench) -> None:
    bench.lag.stalls = ("resolve stalled at observations/3 for 130 s",)
    assert bench.health.live() == "resolve stalled at observations/3 for 130 s"


def test_recovery_and_missing_partitions_make_the_worker_unready(bench: Bench) -> None:
    bench.runner.is_recovering = True
    assert bench.health.ready() == bench.health.startup() == "state is being recovered: resolve"
    bench.runner.waiting = True
    assert bench.health.ready() == "no partitions assigned yet: resolve"


def test_outage_after_the_start_is_no_reason_to_start_again(bench: Bench) -> None:
    bench.lag.age_seconds = 31.0
    live, ready, startup = probes(bench.health)
    assert (live, startup) == (None, None)
    assert "brokers have not responded" in ready


def test_stopping_worker_is_not_ready(bench: Bench) -> None:
    bench.health.stopping()
    assert bench.health.ready() == "stopping"
