"""Confirmed plans are executed one at a time, can be stopped, and always end with a sentence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import pytest

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.planned import ActionRefusedError, Perform, Performer, PlannedAction
from paynotify.ops.console.actions.plans import KeptPlan, PlanStore
from paynotify.ops.console.actions.runner import ActionRunner
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError

ANNA: Final = Identity("anna@shop.example", "oidc", {EVERY_MERCHANT: Role.CASHIER})
BEN: Final = Identity("ben", "oidc", {EVERY_MERCHANT: Role.CASHIER})


class ActionsAlone:
    """A store and its runner, without pages."""

    def __init__(self) -> None:
        self.plans = PlanStore()
        self.runner = ActionRunner(self.plans)

    def planned(self, perform: Perform, *, records: int = 1, needs_second: bool = False) -> str:
        shown = PlannedAction(
            title="Replay",
            role=Role.OPERATOR,
            merchants=None,
            records=records,
            sentence="",
            perform=perform,
            needs_second=needs_second,
        )
        return self.plans.add(ANNA, shown).plan_id

    def ended(self, plan_id: str, why: str = "case 4711") -> ActionRun:
        kept = self.runner.confirm(plan_id, ANNA, why)
        assert kept.run is not None
        self.join()
        assert kept.run.has_ended
        return kept.run

    def join(self) -> None:
        thread = self.runner._thread
        assert thread is not None
        thread.join(10)


@pytest.fixture
def actions() -> Iterator[ActionsAlone]:
    one = ActionsAlone()
    yield one
    one.runner.close()


def at_once(performer: Performer, run: ActionRun) -> None:
    run.begin()
    run.advance()


def test_person_and_reason_reach_what_is_done(actions: ActionsAlone) -> None:
    seen: list[Performer] = []

    def perform(performer: Performer, run: ActionRun) -> None:
        seen.append(performer)
        at_once(performer, run)

    run = actions.ended(actions.planned(perform))
    assert (run.state, run.outcome) == ("done", "1 of 1 records were sent.")
    (performer,) = seen
    operator = performer.operator
    assert (operator.by, operator.identity, operator.reason) == ("anna@shop.example", "authenticated", "case 4711")
    assert performer.recorded({"kind": "dead"}) == {"kind": "dead"}


def test_second_person_is_recorded_beside_the_first(actions: ActionsAlone) -> None:
    seen: list[Performer] = []

    def perform(performer: Performer, run: ActionRun) -> None:
        seen.append(performer)

    plan_id = actions.planned(perform, needs_second=True)
    assert actions.runner.confirm(plan_id, ANNA, "case 4711").state == "waiting"
    actions.runner.confirm(plan_id, BEN, "")
    actions.join()
    assert (seen[0].operator.by, seen[0].operator.reason) == ("anna@shop.example", "case 4711")
    assert seen[0].recorded({}) == {"confirmed_by": "ben"}


@pytest.mark.parametrize("why", ["", "x" * 201, "card 4111 1111 1111 1111", "ask jo@shop.example"])
def test_reason_that_must_not_be_kept_takes_no_plan(actions: ActionsAlone, why: str) -> None:
    plan_id = actions.planned(at_once)
    with pytest.raises(ConfigurationError):
        actions.runner.confirm(plan_id, ANNA, why)
    assert actions.plans.find(plan_id, ANNA).state == "fresh"
    assert actions.ended(plan_id).state == "done"


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (ActionRefusedError("3 records were replayed since."), "refused", "replayed since. Nothing was done."),
        (ClusterUnavailableError("The brokers are away."), "failed", "The brokers are away."),
        (ConfigurationError("--reason must be given."), "failed", "reason must be given."),
        (ValueError("secret-4711"), "failed", "It failed unexpectedly (ValueError)."),
    ],
)
def test_error_ends_an_action_with_a_sentence(actions: ActionsAlone, error: Exception, state: str, said: str) -> None:
    def perform(performer: Performer, run: ActionRun) -> None:
        raise error

    run = actions.ended(actions.planned(perform))
    assert run.state == state
    assert said in run.outcome
    assert "secret" not in run.outcome


class _Slow:
    """Sends one record each time it is let."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.sent = threading.Semaphore(0)

    def __call__(self, performer: Performer, run: ActionRun) -> None:
        run.begin()
        for _ in range(run.planned):
            self.let.acquire()
            run.advance()
            self.sent.release()


def _begun(actions: ActionsAlone, slow: _Slow) -> tuple[KeptPlan, ActionRun]:
    kept = actions.runner.confirm(actions.planned(slow, records=3), ANNA, "case 4711")
    slow.let.release()
    assert slow.sent.acquire(timeout=10)
    assert kept.run is not None
    return kept, kept.run


def test_action_stops_after_the_record_that_it_sends(actions: ActionsAlone) -> None:
    slow = _Slow()
    _, run = _begun(actions, slow)
    run.stop()
    assert run.is_stopping
    slow.let.release(2)
    actions.join()
    assert (run.state, run.published) == ("stopped", 2)
    assert run.outcome == "It was stopped after 2 of 3 records."


def test_one_action_at_a_time_and_the_other_stays_to_be_confirmed(actions: ActionsAlone) -> None:
    slow = _Slow()
    kept, run = _begun(actions, slow)
    other = actions.planned(at_once)
    with pytest.raises(ActionRefusedError, match="one at a time"):
        actions.runner.confirm(other, ANNA, "case 4712")
    again = actions.runner.confirm(kept.plan_id, ANNA, "case 4711")
    assert again.run is run, "a double submit leads to the same action"
    slow.let.release(2)
    actions.join()
    assert (run.state, run.published) == ("done", 3)
    assert actions.ended(other).state == "done"


def test_console_that_ends_stops_its_action_and_waits_for_it(actions: ActionsAlone) -> None:
    slow = _Slow()
    _, run = _begun(actions, slow)
    slow.let.release(2)
    actions.runner.close()
    assert run.has_ended
