"""The circuit's state machine: what goes out while every call fails, and how soon all do once one succeeds."""

from __future__ import annotations

from hypothesis import settings as examples
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import floats, integers
from prometheus_client import CollectorRegistry

from paynotify.processors.limits.circuit import CLOSED, Circuit, asked, ended
from paynotify.processors.limits.provider_circuits import ProviderCircuits
from paynotify.processors.metrics import Metrics
from paynotify.schemas.configuration.worker import CircuitSettings

SETTINGS = CircuitSettings(failures=3, within_seconds=20.0, probe_seconds=10.0)


class CallsOfAMerchant(RuleBasedStateMachine):
    """Calls begin and end in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = CLOSED
        self.out: list[float | None] = []  # calls in progress: of which opening each is a probe
        self.silent: list[float] = []  # when calls went out since the last answer
        self.refused_at: list[float] = []  # when calls failed since the last answer

    @rule(seconds=floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def lookup_comes(self) -> None:
        self.circuit, verdict = asked(self.circuit, self.now)
        if verdict == "hold":
            assert self.circuit.opened_at is not None
            return
        probe_of = self.circuit.opened_at if verdict == "probe" else None
        self.out.append(probe_of)
        if probe_of is not None:
            self.silent.append(self.now)

    @precondition(lambda self: self.out)
    @rule(number=integers(0, 1000))
    def call_fails(self, number: int) -> None:
        probe_of = self.out.pop(number % len(self.out))
        self.circuit = ended(self.circuit, "failed", self.now, SETTINGS, probe_of=probe_of)
        self.refused_at.append(self.now)
        if self.circuit.opened_at is None:
            assert self.refused_at[-SETTINGS.failures :][0] < self.now - SETTINGS.within_seconds or (
                len(self.refused_at) < 2 * SETTINGS.failures
            ), "so many failed, and calls still go out"

    @precondition(lambda self: self.out)
    @rule(number=integers(0, 1000))
    def call_is_answered(self, number: int) -> None:
        probe_of = self.out.pop(number % len(self.out))
        self.circuit = ended(self.circuit, "answered", self.now, SETTINGS, probe_of=probe_of)
        self.silent.clear()
        self.refused_at.clear()
        assert asked(self.circuit, self.now)[1] == "call", "one answer lets every lookup go"

    @precondition(lambda self: self.out)
    @rule(number=integers(0, 1000))
    def call_is_not_made(self, number: int) -> None:
        probe_of = self.out.pop(number % len(self.out))
        self.circuit = ended(self.circuit, "not_made", self.now, SETTINGS, probe_of=probe_of)
        if probe_of is not None and probe_of == self.circuit.opened_at:
            self.silent.pop()
            assert asked(self.circuit, self.now)[1] == "probe", "a probe that was not made is still due"

    @invariant()
    def one_probe_at_a_time(self) -> None:
        if self.circuit.opened_at is not None:
            probes = sum(one == self.circuit.opened_at for one in self.out)
            assert probes == self.circuit.probing
            assert probes <= 1

    @invariant()
    def probes_keep_their_distance(self) -> None:
        assert all(
            later - earlier >= SETTINGS.probe_seconds
            for earlier, later in zip(self.silent, self.silent[1:], strict=False)
        )

    @invariant()
    def next_probe_is_due_within_an_interval(self) -> None:
        if self.circuit.opened_at is not None and not self.circuit.probing:
            assert asked(self.circuit, self.now + SETTINGS.probe_seconds)[1] == "probe"


CallsOfAMerchant.TestCase.settings = examples(max_examples=150, stateful_step_count=30, deadline=None)
test_calls_that_begin_and_end_in_any_order = CallsOfAMerchant.TestCase


def after(*results: tuple[float, str]) -> Circuit:
    known = CLOSED
    for now, result in results:
        known = ended(known, result, now, SETTINGS)  # type: ignore[arg-type]
    return known


def test_failures_that_are_far_apart_do_not_open_it() -> None:
    assert after((0, "failed"), (15, "failed"), (30, "failed")).opened_at is None
    assert after((0, "failed"), (5, "failed"), (10, "failed")).opened_at == 10
    assert after((0, "failed"), (5, "answered"), (6, "failed"), (7, "failed")).opened_at is None
    assert after((0, "failed"), (5, "not_made"), (6, "failed"), (7, "failed")).opened_at == 7


def test_pause_that_the_provider_asks_for_is_kept() -> None:
    opened = after((0, "failed"), (1, "failed"))
    opened = ended(opened, "failed", 2, SETTINGS, pause_seconds=200)
    assert [asked(opened, now)[1] for now in (13, 201, 202)] == ["hold", "hold", "probe"]
    probing, _ = asked(opened, 202)
    again = ended(probing, "failed", 203, SETTINGS, probe_of=2, pause_seconds=10**9)
    assert asked(again, 203 + 3600)[1] == "probe", "but no longer than an hour"


def test_metric_shows_an_open_circuit_until_another_process_has_the_merchant() -> None:
    now, metrics = [0.0], Metrics(CollectorRegistry())
    circuits = ProviderCircuits("nevogate", SETTINGS, metrics.circuit_open, lambda: now[0])

    def shown() -> float | None:
        (family,) = metrics.circuit_open.collect()
        return next((one.value for one in family.samples if one.labels["merchant"] == "shop"), None)

    assert shown() is None
    for expected in (0, 0, 0, 1):
        with circuits.attempt("shop") as attempt:
            assert (attempt.held, shown()) == (bool(expected), expected)
            attempt.answered(False)
    assert [circuits.may_return("shop"), circuits.may_return("other")] == [False, True]
    now[0] = 10
    assert [circuits.may_return("shop"), circuits.may_return("shop")] == [True, False], "one for the probe"
    now[0] = 2000
    assert shown() == 0
