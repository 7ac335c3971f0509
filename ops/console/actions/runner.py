"""Executes confirmed plans: one at a time, in a thread of its own, so that pages can tell how far it has come."""

from __future__ import annotations

import logging
import threading
from typing import Final

from paynotify.ops.console.access.identity import Identity
from paynotify.ops.console.actions.acting import acting, in_form_words
from paynotify.ops.console.actions.action_run import ActionRun, ActionStoppedError
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer
from paynotify.ops.console.actions.plans import KeptPlan, PlanStore
from paynotify.schemas.errors import PaynotifyError
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

_END_SECONDS: Final = 20.0


class ActionRunner:
    """Confirms and executes the plans of ``plans``."""

    def __init__(self, plans: PlanStore) -> None:
        self._plans = plans
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._current: KeptPlan | None = None

    def confirm(self, plan_id: str, identity: Identity, reason: str) -> KeptPlan:
        """Confirm the plan, and begin it if nobody else has to. A plan that was begun is returned as it is.

        Raises:
            ActionRefusedError: it can't be confirmed; or another action is at work, and this plan stays as it was.
        """
        with self._lock:
            kept = self._plans.find(plan_id, identity)
            if kept.would_start(identity.name) and self._is_busy():
                raise ActionRefusedError(
                    "Another action is being done, and there is one at a time. Confirm this one once that has ended."
                )
            acting(kept.owner, kept.reason or reason)  # refused before the plan is taken
            kept, is_taken = self._plans.confirm(plan_id, identity, reason)
            if is_taken:
                self._begin(kept)
            return kept

    def close(self) -> None:
        """Stop what is at work, and return once its end is recorded, or after a bounded time."""
        with self._lock:
            thread = self._thread
            if self._current is not None and self._current.run is not None:
                self._current.run.stop()
        if thread is not None:
            thread.join(_END_SECONDS)

    def _is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _begin(self, kept: KeptPlan) -> None:
        assert kept.run is not None, "a plan that is taken has a run"
        self._current = kept
        self._thread = threading.Thread(target=_execute, args=(kept, kept.run), name="action", daemon=True)
        self._thread.start()


def _execute(kept: KeptPlan, run: ActionRun) -> None:
    """Do it, and say how it ended. Nothing that happens here may leave the run at work for ever."""
    try:
        kept.action.perform(Performer(acting(kept.owner, kept.reason), kept.second), run)
        run.outcome, run.state = f"{run.published} of {run.planned} records were sent.", "done"
    except ActionStoppedError:
        run.outcome, run.state = f"It was stopped after {run.published} of {run.planned} records.", "stopped"
    except ActionRefusedError as error:
        run.outcome, run.state = f"{in_form_words(error)} Nothing was done.", "refused"
    except PaynotifyError as error:
        run.outcome, run.state = in_form_words(error), "failed"
    except Exception as error:  # a defect: its text may hold anything
        run.outcome, run.state = f"It failed unexpectedly ({type(error).__name__}). See the console's log.", "failed"
        logger.exception("action_failed")
    event(logger, "action_ended", action=kept.action.title, state=run.state, published=run.published)
