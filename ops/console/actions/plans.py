"""Keeps the dry runs of the console until they are confirmed: each is executed at most once, by whom it belongs to.

A plan has a random id and belongs to who made it. One that needs four eyes waits for a second person after its owner
has confirmed it. Number and age are bounded. Nothing here is durable: after a restart a dry run is made again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from paynotify.ops.console.access.identity import Identity
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.planned import ActionRefusedError, PlannedAction
from paynotify.ops.console.actions.split_amounts import SplitAmounts

#: A dry run shows the topics of one moment; after so long it says little of them.
FRESH_SECONDS: Final = 900.0
#: How long a second person may take, and how long the outcome of an action is shown.
KEPT_SECONDS: Final = 24 * 3600.0
MAX_PLANS: Final = 100
#: Of one person: with more, the oldest one that is not confirmed goes.
MAX_FRESH: Final = 5
#: Of one person, for a second one: they are kept for a day, and with all the room nobody else could do anything.
MAX_WAITING: Final = 20

#: ``fresh``: to be confirmed by its owner. ``waiting``: by a second person. ``taken``: it is or was executed.
PlanState = Literal["fresh", "waiting", "taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """A plan with its id, the name of its owner, and the reason and the second person once they are known."""

    plan_id: str
    owner: Identity
    action: PlannedAction
    state: PlanState
    expires_at: float
    reason: str = ""
    second: str | None = None
    run: ActionRun | None = None

    def would_start(self, name: str) -> bool:
        """Whether it would be executed if the person confirmed it now."""
        return self.state == "waiting" if self.action.needs_second else self.state == "fresh" and self.is_of(name)

    @property
    def is_at_work(self) -> bool:
        """Whether it was begun and has not ended."""
        return self.run is not None and not self.run.has_ended

    def is_of(self, name: str) -> bool:
        """Whether the person made it."""
        return self.owner.name == name


class PlanStore:
    """Used by any thread. ``clock`` tells seconds; ``parts`` knows what was charged before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, parts: SplitAmounts | None = None) -> None:
        self._clock = clock
        self._parts = parts or SplitAmounts(lambda amount: False, clock)
        self._lock = threading.Lock()
        self._plans: dict[str, KeptPlan] = {}

    def add(self, owner: Identity, action: PlannedAction) -> KeptPlan:
        """Keep a dry run.

        Raises:
            ActionRefusedError: too many are kept.
        """
        with self._lock:
            self._drop_expired()
            fresh = [one for one in self._plans.values() if one.state == "fresh" and one.is_of(owner.name)]
            if len(fresh) >= MAX_FRESH:
                del self._plans[fresh[0].plan_id]
            if len(self._plans) >= MAX_PLANS:
                self._drop_an_ended_one()
            kept = KeptPlan(
                plan_id=secrets.token_urlsafe(16),
                owner=owner,
                action=self._parts.judged(action),
                state="fresh",
                expires_at=self._clock() + FRESH_SECONDS,
            )
            self._plans[kept.plan_id] = kept
            return kept

    def find(self, plan_id: str, identity: Identity) -> KeptPlan:
        """The plan for somebody who may see it: its owner, and once it is confirmed all who may do the same.

        Raises:
            ActionRefusedError: there is none (any more), or not for them.
        """
        with self._lock:
            return self._find(plan_id, identity)

    def confirm(self, plan_id: str, identity: Identity, reason: str) -> tuple[KeptPlan, bool]:
        """The plan as it is after this confirmation, and whether it is to be executed now: True once for each plan.

        The reason is that of its owner; a second person needs none.

        Raises:
            ActionRefusedError: there is none (any more), or not for them, or the same person confirms it twice.
        """
        with self._lock:
            kept = self._find(plan_id, identity)
            if not kept.action.is_for(identity):
                raise ActionRefusedError("You may not do this (any more).")
            if kept.state == "taken":
                return kept, False
            if not kept.action.records:
                raise ActionRefusedError("There is nothing to do.")
            if kept.state == "waiting":
                if kept.owner.name.casefold() == identity.name.casefold():
                    raise ActionRefusedError("You have confirmed this. A second person must confirm it too.")
                changed = replace(kept, state="taken", second=identity.name)
            else:
                action = self._parts.judged(kept.action)  # again: another part may have been charged since
                if action.needs_second:
                    self._require_room_to_wait(kept.owner.name)
                state: PlanState = "waiting" if action.needs_second else "taken"
                changed = replace(kept, action=action, state=state, reason=reason)
            is_taken = changed.state == "taken"
            if is_taken:
                self._parts.count(changed.action)
            run = ActionRun(kept.action.records) if is_taken else None
            changed = replace(changed, run=run, expires_at=self._clock() + KEPT_SECONDS)
            self._plans[plan_id] = changed
            return changed, is_taken

    def confirmed(self, identity: Identity) -> list[KeptPlan]:
        """The plans that wait for a second person or were executed, of those that the person may see; newest first."""
        with self._lock:
            self._drop_expired()
            found = [one for one in self._plans.values() if one.state != "fresh" and _may_see(one, identity)]
            return sorted(found, key=lambda one: one.expires_at, reverse=True)

    def _find(self, plan_id: str, identity: Identity) -> KeptPlan:
        self._drop_expired()
        kept = self._plans.get(plan_id)
        if kept is None or not _may_see(kept, identity):
            raise ActionRefusedError(
                "This dry run is not kept (any more): it is too old, or the console was started again. "
                "Nothing was done because of this request. Make another dry run."
            )
        return kept

    def _require_room_to_wait(self, name: str) -> None:
        if sum(one.state == "waiting" and one.is_of(name) for one in self._plans.values()) >= MAX_WAITING:
            raise ActionRefusedError(
                f"{MAX_WAITING} actions that you have confirmed wait for a second person. Have one confirmed first."
            )

    def _drop_expired(self) -> None:
        now = self._clock()
        for plan_id in [one.plan_id for one in self._plans.values() if one.expires_at <= now and not one.is_at_work]:
            del self._plans[plan_id]

    def _drop_an_ended_one(self) -> None:
        for kept in self._plans.values():
            if kept.run is not None and kept.run.has_ended:
                del self._plans[kept.plan_id]
                return
        raise ActionRefusedError(f"{MAX_PLANS} dry runs are kept, and no more can be. Confirm one, or wait.")


def _may_see(kept: KeptPlan, identity: Identity) -> bool:
    return kept.is_of(identity.name) if kept.state == "fresh" else kept.action.is_for(identity)
