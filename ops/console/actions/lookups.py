"""Asks providers again: for one payment or order, or for all that differ from the provider's list."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from paynotify.ops.common.action_log import ActionLog, intention, recorded_values
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.times import TIME_FORMS
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext, require
from paynotify.ops.console.actions.forms import ActionField, FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.reconcile.compare import Period, by_kind
from paynotify.ops.reconcile.kept_report import kept_report, write_report
from paynotify.ops.reconcile.options import DEFAULT_SLACK, parse_period
from paynotify.ops.reconcile.planning import Comparison, compared, lister_of, repair_of
from paynotify.ops.reconcile.repair import CAUSE, RepairPlan, leave_out_queued, lookup_id, queue
from paynotify.ops.reconcile.report import ReconcileReport, report_of
from paynotify.processors.providers.recovery import recovery_lookup
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.messages import Lookup
from paynotify.schemas.times import rfc3339
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

_PER_SECOND: Final = 5.0
_MAX_LISTED: Final = 20
_MAX_PERIOD: Final = timedelta(days=31)
_HEADER: Final = ("operation", "asks for")


class LookUpAgainAction:
    """One lookup, by the rules of recovery: what the provider allows, and each at most once a day."""

    name = "look-up"
    title = "Look up again"
    role = Role.OPERATOR
    about = "Asks the provider once more for a payment or an order, and publishes what it says."
    fields = (
        ActionField(name="merchant", label="Merchant", kind="merchant", is_required=True),
        ActionField(name="payment", label="Payment", hint="the payment's id at the provider"),
        ActionField(name="order", label="Order", hint="the order's id; the payment, the order or both must be given"),
    )

    def __init__(self, context: ActionContext) -> None:
        self._context = context

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run: the lookup, if the provider's rules allow one."""
        merchant = _merchant(self._context, form, identity)
        payment, order = form.text("payment"), form.text("order")
        if payment is None and order is None:
            raise ConfigurationError("payment or order must be given.")
        now = datetime.now(UTC)
        lookup = recovery_lookup(
            merchant, order_id=order, payment_id=payment, lookup_cause=CAUSE, at=rfc3339(now)
        )  # fmt: skip
        if lookup is None:
            raise ActionRefusedError(f"The rules of {provider_of(merchant)} allow no lookup of this.")
        plan = RepairPlan({lookup_id(lookup, now): lookup})
        with self._context.open_reader() as reader:
            leave_out_queued(plan, reader, self._context.configuration, merchant, now)
        recorded = recorded_values({"merchant": merchant.id, "payment": payment, "order": order})
        return _planned(self._context, self.title, merchant, plan, recorded, payment)


class ReconcileAction:
    """``paynotify reconcile --repair`` with the provider's own list."""

    name = "reconcile"
    title = "Reconcile and repair"
    role = Role.OPERATOR
    about = "Compares a period with the provider's list, and looks up again what differs."
    fields = (
        ActionField(name="merchant", label="Merchant", kind="merchant", is_required=True),
        ActionField(name="from", label="From", default="24h", is_required=True, hint=TIME_FORMS),
        ActionField(name="to", label="To", hint="as from; now, if it is not given"),
    )

    def __init__(self, context: ActionContext) -> None:
        self._context = context

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run: what differs, and the lookups that can repair it."""
        merchant = _merchant(self._context, form, identity)
        if lister_of(merchant) is None:
            raise ActionRefusedError(
                f"{provider_of(merchant)} has no list of payments. Compare with the shop's export, by the command "
                "`paynotify reconcile --export`."
            )
        period = _period(form)
        configuration = self._context.configuration
        with self._context.open_reader() as reader:
            found = compared(reader, configuration, merchant, period, None, _PER_SECOND)
            plan = repair_of(found, reader, configuration)
        recorded = recorded_values(
            {"merchant": merchant.id, "start": rfc3339(period.start), "end": rfc3339(period.end)}
        )  # fmt: skip
        facts = [
            ("period", f"{rfc3339(period.start)} to {rfc3339(period.end)}"),
            ("compared", f"{found.compared} payments of the provider's list"),
            *((kind, f"{count} payments") for kind, count in by_kind(found.differences).items() if count),
        ]
        warnings = [f"{len(found.unreadable)} records of the list can't be read."] if found.unreadable else []
        return _planned(self._context, self.title, merchant, plan, recorded, None, facts, warnings, found)


def _planned(
    context: ActionContext,
    title: str,
    merchant: Merchant,
    plan: RepairPlan,
    recorded: Mapping[str, str],
    payment: str | None,
    facts: list[tuple[str, str]] | None = None,
    warnings: list[str] | None = None,
    found: Comparison | None = None,
) -> PlannedAction:
    """``found`` is the comparison that the lookups repair; its report is kept once they are queued."""

    def perform(performer: Performer, run: ActionRun) -> None:
        current = still_planned(context, merchant, plan)
        kafka = context.configuration.kafka
        intended = intention(
            "reconcile",
            performer.operator,
            kafka,
            performer.recorded(recorded),
            merchant=merchant.id,
            payment_id=payment,
            planned=len(current.lookups),
        )
        run.begin()
        with ActionLog(kafka, intended) as log:

            def sent() -> None:
                log.count()
                run.advance()

            queue(current, kafka, _PER_SECOND, sent)
        if found is not None:
            _keep_report(report_of(found, current, log.published, intended.action_id), performer, kafka)

    left_out = [f"{count} left out: {why}" for why, count in sorted(plan.left_out.items())]
    return PlannedAction(
        title=title,
        role=Role.OPERATOR,
        merchants=frozenset({merchant.id}),
        records=len(plan.lookups),
        sentence="; ".join([f"Lookups that would be queued: {len(plan.lookups)}", *left_out]) + ".",
        perform=perform,
        facts=facts or [],
        warnings=warnings or [],
        header=_HEADER,
        rows=[(one.operation, _asked(one)) for one in list(plan.lookups.values())[:_MAX_LISTED]],
    )


def _keep_report(report: ReconcileReport, performer: Performer, kafka: KafkaSettings) -> None:
    """The lookups are queued and recorded: that a report can't be kept undoes nothing."""
    try:
        write_report(kept_report(report, performer.operator, kafka.sasl_plain_username), kafka)
    except ClusterUnavailableError as error:
        event(logger, "report_not_kept", level=logging.WARNING, error=type(error).__name__)


def still_planned(context: ActionContext, merchant: Merchant, plan: RepairPlan) -> RepairPlan:
    """The plan as of now, with the lookups of the dry run.

    Raises:
        ActionRefusedError: one of them was queued since, or exceeds the hour's quota now.
    """
    now = datetime.now(UTC)
    # the audit looks for a lookup in the window of the time that it names
    current = RepairPlan({name: replace(one, received_at=rfc3339(now)) for name, one in plan.lookups.items()})
    with context.open_reader() as reader:
        leave_out_queued(current, reader, context.configuration, merchant, now)
    if current.left_out:
        why = "; ".join(f"{count}: {cause}" for cause, count in sorted(current.left_out.items()))
        raise ActionRefusedError(
            f"Not all of the {len(plan.lookups)} lookups of this dry run can be queued any more ({why}). "
            "Make another dry run."
        )
    return current


def _asked(lookup: Lookup) -> str:
    return lookup.reference or lookup.arguments.get("orderreference", "")


def _merchant(context: ActionContext, form: FormValues, identity: Identity) -> Merchant:
    merchant_id = form.needed("merchant")
    require(identity, Role.OPERATOR, merchant_id)
    return find_merchant(context.configuration, merchant_id)


def _period(form: FormValues) -> Period:
    period = parse_period(form.text("from") or "24h", form.text("to"), DEFAULT_SLACK)
    if period.end - period.start > _MAX_PERIOD:
        raise ConfigurationError(f"from must be at most {_MAX_PERIOD.days} days before to.")
    return period
