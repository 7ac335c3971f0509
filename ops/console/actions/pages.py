"""The pages of actions: a form, its dry run, the confirmation, and how far it has come. They need no script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.access.form_tokens import form_of
from paynotify.ops.console.access.guard import Endpoint
from paynotify.ops.console.access.identity import Identity, Role, identity_of
from paynotify.ops.console.actions.acting import in_form_words
from paynotify.ops.console.actions.console_action import ActionContext, ConsoleAction
from paynotify.ops.console.actions.correct import CorrectAction
from paynotify.ops.console.actions.dry_run_room import DryRunRoom
from paynotify.ops.console.actions.forms import FormValues
from paynotify.ops.console.actions.lookups import LookUpAgainAction, ReconcileAction
from paynotify.ops.console.actions.planned import ActionRefusedError
from paynotify.ops.console.actions.plans import KeptPlan, PlanStore
from paynotify.ops.console.actions.replay import ReplayAction
from paynotify.ops.console.actions.requests import RequestAction
from paynotify.ops.console.actions.runner import ActionRunner
from paynotify.ops.console.actions.split_amounts import SplitAmounts
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.console.topic_access import OpenReader
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError, PaynotifyError

_PLANS: Final = "/actions/plans"


class ActionPages:
    """``close`` stops what is at work, and records that."""

    def __init__(
        self, configuration: Configuration, renderer: PageRenderer, open_reader: OpenReader | None = None
    ) -> None:
        context = ActionContext(configuration, open_reader or (lambda: TopicReader(configuration)))
        self._merchants = [one.id for one in configuration.merchants]
        self._renderer = renderer
        self._plans = PlanStore(parts=SplitAmounts(context.needs_second))
        self._runner = ActionRunner(self._plans)
        self._dry_runs = DryRunRoom()
        self._actions: tuple[ConsoleAction, ...] = (
            ReplayAction(context),
            LookUpAgainAction(context),
            CorrectAction(context),
            ReconcileAction(context),
            RequestAction(context, "capture"),
            RequestAction(context, "void"),
            RequestAction(context, "charge"),
        )

    def routes(self) -> tuple[ConsoleRoute, ...]:
        forms = (
            ConsoleRoute(f"/actions/{one.name}", self._form_of(one), one.role, methods=("GET", "POST"))
            for one in self._actions
        )
        return (
            ConsoleRoute("/actions", self.overview, Role.OPERATOR, "Actions"),
            *forms,
            ConsoleRoute(f"{_PLANS}/{{plan_id}}", self.plan, Role.OPERATOR),
            ConsoleRoute(f"{_PLANS}/{{plan_id}}/confirm", self.confirm, Role.OPERATOR, methods=("POST",)),
            ConsoleRoute(f"{_PLANS}/{{plan_id}}/stop", self.stop, Role.OPERATOR, methods=("POST",)),
        )

    def close(self) -> None:
        self._runner.close()

    async def overview(self, request: Request) -> Response:
        """What may be done, and what was confirmed lately."""
        identity = identity_of(request)
        actions = [one for one in self._actions if identity.may(one.role)]
        return self._renderer.page(request, "actions.html", actions=actions, plans=self._plans.confirmed(identity))

    async def plan(self, request: Request) -> Response:
        """A dry run, and what has become of it."""
        try:
            kept = self._plans.find(request.path_params["plan_id"], identity_of(request))
        except ActionRefusedError as error:
            raise HTTPException(404, str(error)) from None
        return self._plan_page(request, kept)

    async def confirm(self, request: Request) -> Response:
        """Execute exactly this dry run, or let it wait for a second person."""
        plan_id, identity = request.path_params["plan_id"], identity_of(request)
        try:
            why = FormValues(form_of(request)).text("why") or ""
            kept = self._runner.confirm(plan_id, identity, why)
        except (ActionRefusedError, ConfigurationError) as error:
            return self._refused(request, plan_id, error)
        return _to(kept)

    async def stop(self, request: Request) -> Response:
        """Let the action end after the record that it sends now."""
        try:
            kept = self._plans.find(request.path_params["plan_id"], identity_of(request))
        except ActionRefusedError as error:
            raise HTTPException(404, str(error)) from None
        if kept.run is not None and kept.action.is_for(identity_of(request)):
            kept.run.stop()
        return _to(kept)

    def _form_of(self, action: ConsoleAction) -> Endpoint:
        async def answer(request: Request) -> Response:
            if request.method != "POST":
                return self._form_page(request, action, FormValues(request.query_params))
            form = FormValues(form_of(request))
            try:
                kept = await run_in_threadpool(self._dry_run, action, form, identity_of(request))
            except PaynotifyError as error:
                status = 400 if isinstance(error, ConfigurationError | ActionRefusedError) else 503
                return self._form_page(request, action, form, in_form_words(error), status)
            return _to(kept)

        return answer

    def _dry_run(self, action: ConsoleAction, form: FormValues, identity: Identity) -> KeptPlan:
        with self._dry_runs.taken(identity.name):
            return self._plans.add(identity, action.plan(form, identity))

    def _form_page(
        self, request: Request, action: ConsoleAction, form: FormValues, problem: str = "", status_code: int = 200
    ) -> Response:
        own = identity_of(request).merchants(action.role)
        merchants = [one for one in self._merchants if own is None or one in own]
        return self._renderer.page(
            request, "action_form.html", action=action, merchants=merchants, entered=_entered(form), problem=problem,
            status_code=status_code,
        )  # fmt: skip

    def _refused(self, request: Request, plan_id: str, error: PaynotifyError) -> Response:
        try:
            kept = self._plans.find(plan_id, identity_of(request))
        except ActionRefusedError:
            raise HTTPException(409, in_form_words(error)) from None
        return self._plan_page(request, kept, in_form_words(error), 409)

    def _plan_page(self, request: Request, kept: KeptPlan, problem: str = "", status_code: int = 200) -> Response:
        is_own = kept.is_of(identity_of(request).name)
        return self._renderer.page(
            request, "plan.html", kept=kept, action=kept.action, run=kept.run, is_own=is_own,
            is_at_work=kept.is_at_work, here=f"{_PLANS}/{kept.plan_id}", problem=problem, status_code=status_code,
        )  # fmt: skip


def _entered(form: FormValues) -> Callable[[str], list[str]]:
    """What a form shows again; nothing for a field that is too long."""

    def texts(name: str) -> list[str]:
        try:
            return form.texts(name)
        except ConfigurationError:
            return []

    return texts


def _to(kept: KeptPlan) -> Response:
    """The plan's page, so that loading it again sends nothing again."""
    return RedirectResponse(f"{_PLANS}/{kept.plan_id}", status_code=303)
