"""Corrects a payment's status, as `paynotify correct` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast, get_args

from paynotify.ops.common.action_log import ActionLog, intention, recorded_values
from paynotify.ops.common.amounts import money_text
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.acting import public_name
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext, require, stake
from paynotify.ops.console.actions.forms import ActionField, FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.correct.current import current_payment
from paynotify.ops.correct.options import parse_amounts, parse_payment
from paynotify.ops.correct.planning import CorrectionPlan, CorrectionWanted, plan_correction
from paynotify.ops.correct.publishing import publish, result_of
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.messages import Correction, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339

_HEADER: Final = ("sequence", "status", "fulfilment", "amount", "paid", "order", "source")
_STATUS: Final = ActionField(
    name="status", label="Status", kind="choice", choices=get_args(Status), default="captured", is_required=True
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which payment, and what is said of it."""

    merchant: Merchant
    key: bytes
    status: Status
    amount: Money | None
    paid: Money | None


class CorrectAction:
    """The form's fields are the options of `paynotify correct`."""

    name = "correct"
    title = "Correct"
    role = Role.OPERATOR
    about = "Says which status a payment has where its provider does not, such as after a dispute that was won."
    fields = (
        ActionField(name="payment", label="Payment", is_required=True, hint="MERCHANT/PAYMENT"),
        _STATUS,
        ActionField(name="amount", label="Amount to be paid", hint="in major units, such as 19.90; as known, if empty"),
        ActionField(name="paid", label="Amount captured", hint="as above"),
        ActionField(name="currency", label="Currency", hint="of the amounts, such as EUR"),
    )

    def __init__(self, context: ActionContext) -> None:
        self._context = context

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run: the payment's newest event, and the one that would follow."""
        payment = form.needed("payment")
        require(identity, self.role, payment.partition("/")[0])
        merchant, key = parse_payment(payment, self._context.configuration)
        status = cast(Status, form.chosen(_STATUS))
        amount, paid = parse_amounts(form.text("amount"), form.text("paid"), form.text("currency"))
        asked = _Asked(merchant, key, status, amount, paid)
        # the reason is asked once the dry run is seen, and changes nothing of what follows
        planned = self._planned(asked, Correction(by=public_name(identity.name), reason="dry run"))
        if planned.newest is None or planned.follows is None:
            raise ActionRefusedError(planned.problem)
        recorded = recorded_values({name: form.text(name) for name in ("status", "amount", "paid", "currency")})

        def perform(performer: Performer, run: ActionRun) -> None:
            self._perform(asked, planned, recorded, performer, run)

        newest, follows = planned.newest, planned.follows
        at_stake = stake(newest.amount, newest.paid, follows.amount, follows.paid)
        return PlannedAction(
            title=self.title,
            role=self.role,
            merchants=frozenset({merchant.id}),
            records=1,
            sentence=f"1 correction: {newest.status} becomes {follows.status}, and the goods: {follows.fulfilment}.",
            perform=perform,
            facts=[("payment", payment)],
            header=_HEADER,
            rows=[_row(newest), _row(follows)],
            amount=at_stake,
            needs_second=self._context.needs_second(at_stake),
        )

    def _perform(
        self,
        asked: _Asked,
        planned: CorrectionPlan,
        recorded: Mapping[str, str],
        performer: Performer,
        run: ActionRun,
    ) -> None:
        operator = performer.operator
        now = self._planned(asked, Correction(by=public_name(operator.by), reason=operator.reason or ""))
        if now.newest is None or now.observed is None or now.follows is None:
            raise ActionRefusedError(now.problem)
        if _effect(now) != _effect(planned):
            raise ActionRefusedError(
                "The payment has changed since this dry run, and another event would follow. Make another dry run."
            )
        kafka = self._context.configuration.kafka
        intended = intention(
            "correct",
            operator,
            kafka,
            performer.recorded(recorded),
            merchant=asked.merchant.id,
            payment_id=now.newest.payment_id,
            planned=1,
        )
        run.begin()
        with ActionLog(kafka, intended) as log:
            publish(kafka, now.observed)
            log.count()
            run.advance()
            log.result = run.result = result_of(now.follows)

    def _planned(self, asked: _Asked, correction: Correction) -> CorrectionPlan:
        with self._context.open_reader() as reader:
            current = current_payment(reader, self._context.configuration.kafka, asked.key)
        wanted = CorrectionWanted(status=asked.status, correction=correction, amount=asked.amount, paid=asked.paid)
        return plan_correction(current, asked.merchant, wanted, rfc3339())


def _effect(plan: CorrectionPlan) -> tuple[object, ...]:
    """What the dry run showed, without times and ids, which are always new."""
    assert plan.newest is not None
    assert plan.follows is not None
    return plan.newest.event_id, *_row(plan.follows)


def _row(event: PaymentStatus) -> tuple[str, ...]:
    amount, paid = (money_text(one) if one is not None else "unknown" for one in (event.amount, event.paid))
    sequence, order = str(event.sequence), event.order_id or ""
    return sequence, event.status, event.fulfilment, amount, paid, order, event.source
