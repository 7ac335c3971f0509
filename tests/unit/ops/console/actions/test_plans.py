"""The kept dry runs: none is executed twice, by others, after its time, or with fewer eyes than it needs."""

from __future__ import annotations

import threading
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.console.actions.plans import (
    FRESH_SECONDS,
    KEPT_SECONDS,
    MAX_FRESH,
    MAX_PLANS,
    MAX_WAITING,
    KeptPlan,
    PlanStore,
)

PEOPLE: Final = {
    "anna": Identity("anna", "basic", {EVERY_MERCHANT: Role.CASHIER}),
    "ben": Identity("ben", "basic", {EVERY_MERCHANT: Role.CASHIER}),
    "carl": Identity("carl", "basic", {"shop-uk": Role.CASHIER, "shop-nl": Role.OPERATOR}),
    "dora": Identity("dora", "basic", {EVERY_MERCHANT: Role.VIEWER}),
}
MERCHANTS: Final = (None, frozenset({"shop-uk"}), frozenset({"shop-uk", "shop-nl"}))


def nothing(performer: Performer, run: ActionRun) -> None:
    """Does nothing."""


def action(**changes: Any) -> PlannedAction:
    shown = {"title": "Replay", "role": Role.CASHIER, "merchants": None, "records": 1, "sentence": "", **changes}
    return PlannedAction(perform=nothing, **shown)


class Confirmations(RuleBasedStateMachine):
    """Anybody confirms anything at any time, and what is executed is compared with what may be."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.store = PlanStore(lambda: self.now)
        self.made: dict[str, tuple[KeptPlan, float]] = {}
        self.first: dict[str, tuple[str, float]] = {}
        self.executed: set[str] = set()

    @rule(name=st.sampled_from(("anna", "ben", "carl")), merchants=st.sampled_from(MERCHANTS), four=st.booleans())
    def plan(self, name: str, merchants: frozenset[str] | None, four: bool) -> None:
        if len(self.made) < MAX_PLANS:
            kept = self.store.add(PEOPLE[name], action(merchants=merchants, needs_second=four))
            self.made[kept.plan_id] = (kept, self.now)

    @rule(seconds=st.sampled_from((1.0, 1.0, 1.0, FRESH_SECONDS / 2, FRESH_SECONDS, KEPT_SECONDS)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(back=st.integers(0, 2), who=st.sampled_from(("its owner", "its owner", *sorted(PEOPLE))))
    def confirm(self, back: int, who: str) -> None:
        if not self.made:
            return
        plan_id = list(self.made)[-1 - min(back, len(self.made) - 1)]
        kept, made_at = self.made[plan_id]
        name = PEOPLE.get(who, kept.owner).name
        try:
            after, begins = self.store.confirm(plan_id, PEOPLE[name], f"because {name} says so")
        except ActionRefusedError:
            return
        assert kept.action.is_for(PEOPLE[name]), "nobody confirms what they may not do"
        if not begins:
            if plan_id not in self.executed:
                assert (name, kept.action.needs_second) == (kept.owner.name, True)
                self.first[plan_id] = (name, self.now)
            return
        assert plan_id not in self.executed, "a plan was executed twice"
        self.executed.add(plan_id)
        assert after.reason == f"because {kept.owner.name} says so", "the reason is its owner's"
        if kept.action.needs_second:
            first, confirmed_at = self.first[plan_id]
            assert first == kept.owner.name != name == after.second, "four eyes were two"
            assert self.now < confirmed_at + KEPT_SECONDS
            assert confirmed_at < made_at + FRESH_SECONDS
        else:
            assert name == kept.owner.name
            assert self.now < made_at + FRESH_SECONDS

    @invariant()
    def what_is_kept_is_bounded(self) -> None:
        kept = self.store._plans.values()
        assert len(kept) <= MAX_PLANS
        assert all(sum(one.state == "fresh" and one.is_of(name) for one in kept) <= MAX_FRESH for name in PEOPLE)


TestConfirmations = Confirmations.TestCase
TestConfirmations.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_double_submits_at_the_same_moment_execute_once() -> None:
    store = PlanStore()
    kept = store.add(PEOPLE["anna"], action())
    at_once, began = threading.Barrier(8), []

    def submit() -> None:
        at_once.wait()
        began.append(store.confirm(kept.plan_id, PEOPLE["anna"], "case 4711")[1])

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(began) == [False] * 7 + [True]


def test_plan_of_somebody_else_is_as_one_that_is_not_there() -> None:
    store = PlanStore()
    kept = store.add(PEOPLE["anna"], action())
    for plan_id in (kept.plan_id, "none"):
        with pytest.raises(ActionRefusedError, match="not kept"):
            store.find(plan_id, PEOPLE["ben"])


def test_waiting_plan_is_seen_by_who_may_confirm_it_alone() -> None:
    store = PlanStore()
    kept = store.add(PEOPLE["anna"], action(needs_second=True))
    assert store.confirm(kept.plan_id, PEOPLE["anna"], "case 4711")[0].state == "waiting"
    assert [one.plan_id for one in store.confirmed(PEOPLE["ben"])] == [kept.plan_id]
    assert store.confirmed(PEOPLE["carl"]) == store.confirmed(PEOPLE["dora"]) == []


def test_one_person_leaves_room_for_the_plans_of_others() -> None:
    store = PlanStore()
    for _ in range(MAX_WAITING):
        store.confirm(store.add(PEOPLE["anna"], action(needs_second=True)).plan_id, PEOPLE["anna"], "case 4711")
    one_more = store.add(PEOPLE["anna"], action(needs_second=True)).plan_id
    with pytest.raises(ActionRefusedError, match="wait for a second person"):
        store.confirm(one_more, PEOPLE["anna"], "case 4711")
    assert store.confirm(store.add(PEOPLE["anna"], action()).plan_id, PEOPLE["anna"], "case 4711")[1]
    of_ben = store.add(PEOPLE["ben"], action(needs_second=True)).plan_id
    assert store.confirm(of_ben, PEOPLE["ben"], "case 4711")[0].state == "waiting"


def test_same_name_in_other_letters_is_no_second_person() -> None:
    store = PlanStore()
    kept = store.add(PEOPLE["anna"], action(needs_second=True))
    store.confirm(kept.plan_id, PEOPLE["anna"], "case 4711")
    with pytest.raises(ActionRefusedError, match="second person"):
        store.confirm(kept.plan_id, Identity("ANNA", "basic", {EVERY_MERCHANT: Role.CASHIER}), "")


def test_plan_without_records_is_not_executed() -> None:
    store = PlanStore()
    kept = store.add(PEOPLE["anna"], action(records=0))
    with pytest.raises(ActionRefusedError, match="nothing to do"):
        store.confirm(kept.plan_id, PEOPLE["anna"], "case 4711")


def test_full_store_forgets_an_action_that_has_ended_and_no_other() -> None:
    store = PlanStore()
    people = [Identity(f"person-{number}", "basic", {EVERY_MERCHANT: Role.CASHIER}) for number in range(MAX_PLANS + 1)]
    taken = [store.confirm(store.add(one, action()).plan_id, one, "case 4711")[0] for one in people[:MAX_PLANS]]
    with pytest.raises(ActionRefusedError, match="dry runs are kept"):
        store.add(people[-1], action())
    ended = taken[7]
    assert ended.run is not None
    ended.run.state = "done"
    store.add(people[-1], action())
    with pytest.raises(ActionRefusedError):
        store.find(ended.plan_id, ended.owner)
    assert store.find(taken[0].plan_id, taken[0].owner) == taken[0]
