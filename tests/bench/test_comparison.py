"""How two commits' figures are put side by side, and what a rate needs on paper."""

from __future__ import annotations

from tests.bench.compare import Comparison, table
from tests.bench.drain import PAYNOTIFY, Drained
from tests.bench.figures import Figures
from tests.bench.ingress import Ingresses, Load
from tests.bench.machine import Machine, Measured
from tests.bench.peers.pipelines import BENTHOS_ONE_BY_ONE, PROVIDER
from tests.bench.pipeline import Pipelines
from tests.bench.sizing import needs
from tests.bench.targets import targets

MACHINE = Machine(cores=2, cpu="a processor", python="3.11", kafka="4.3")


def drained(system: str, workers: int, microseconds: float, provider: str = PROVIDER) -> Drained:
    role = "worker" if system == PAYNOTIFY else "peer"
    return Drained(
        system=system,
        provider=provider,
        workers=workers,
        payments=1000,
        seconds=0.5,
        calls=25,
        cpu_microseconds={role: microseconds, "kafka": 50.0},
    )


def load(microseconds: float) -> Load:
    return Load(
        requests=1000,
        refused=0,
        requests_per_second=5000.0,
        cpu_microseconds=microseconds,
        kafka_microseconds=25.0,
        p50_milliseconds=1.0,
        p95_milliseconds=2.0,
        p99_milliseconds=3.0,
    )


def figures(scale: float = 1.0) -> Figures:
    runs = [
        drained(PAYNOTIFY, 2, 250.0),
        drained(BENTHOS_ONE_BY_ONE, 0, 200.0),
        drained(PAYNOTIFY, 1, 600.0, "nevogate"),
        drained(PAYNOTIFY, 1, 300.0, "omnikassa"),
    ]
    how = Measured(commit="abc", scale=scale, load_before=0.5, load_after=1.5)
    return Figures(
        machine=MACHINE,
        measured={"ingress": how, "pipeline": how},
        ingress=Ingresses([load(50.0)], [load(25.0)]),
        pipeline=Pipelines(drained=runs),
    )


def test_comparison_has_medians_and_their_ratio() -> None:
    comparison = Comparison("abc")
    comparison.theirs["charges: worker us"] += [900.0, 1000.0, 5000.0]
    comparison.ours["charges: worker us"] += [500.0]
    comparison.ours["state: peak RSS MB"] += [150.0]
    assert table(comparison).rows == [
        ("charges: worker us", "1,000", "500", "0.50"),
        ("state: peak RSS MB", "-", "150", "-"),
    ]


def test_targets_are_ratios_to_benthos_in_the_same_run() -> None:
    reached = {one.wanted: (one.measured, one.reached) for one in targets(figures())}
    assert reached["Trust Payments, 2 workers: worker CPU: at most 1.4 of Benthos' with one call each"] == (
        "1.25",
        True,
    )
    assert reached["Trust Payments, 2 workers: CPU with Kafka: at most 1.5 of Benthos' with one call each"][1]
    assert reached["Trust Payments, 2 workers: rate: at least 1.5 of Benthos' with one call each"] == ("1.00", False)


def test_small_runs_reach_no_target_and_miss_none() -> None:
    assert {one.reached for one in targets(figures(scale=0.1))} == {None}


def test_sizing_plans_half_of_each_core() -> None:
    needed = needs(figures(), 100_000)
    assert needed is not None
    assert (needed.workers, needed.partitions, needed.ingresses) == (50, 128, 10)
    assert (needed.broker_cores, needed.brokers) == (3 * 15, 6)
    assert (needed.calls_per_second, needed.calls_at_once) == (2500, 50)


def test_sections_measured_later_take_the_place_of_theirs_alone() -> None:
    later = Figures(machine=MACHINE, ingress=Ingresses([load(40.0)], [load(25.0)]))
    later.measured["ingress"] = Measured(commit="def", scale=0.25, load_before=0.5, load_after=1.5)
    both = figures().with_later(later)
    assert (both.ingress, both.pipeline) == (later.ingress, figures().pipeline)
    assert {name: one.commit for name, one in both.measured.items()} == {"ingress": "def", "pipeline": "abc"}
