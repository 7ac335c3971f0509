"""What a correction would change: the event that would follow, or why there would be none."""

from __future__ import annotations

from dataclasses import dataclass

from paynotify.ops.correct.correction import observation
from paynotify.ops.correct.current import CurrentPayment
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import release_rules
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.messages import Correction, Observation, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionWanted:
    """What an operator says of a payment; an amount is None where it stays as it is known."""

    status: Status
    correction: Correction
    amount: Money | None = None
    paid: Money | None = None


@dataclass(frozen=True, slots=True)
class CorrectionPlan:
    """A payment's newest event, the observation that corrects it and the event that follows.

    Without the last two, ``problem`` says why.
    """

    newest: PaymentStatus | None
    observed: Observation | None = None
    follows: PaymentStatus | None = None
    problem: str = ""


def plan_correction(current: CurrentPayment, merchant: Merchant, wanted: CorrectionWanted, at: str) -> CorrectionPlan:
    """The correction of the payment as it is now, made at the time ``at``."""
    problem = _problem(current, wanted)
    if problem or current.event is None or current.state is None:
        return CorrectionPlan(current.event, problem=problem)
    observed = observation(current.event, wanted.status, wanted.correction, at, amount=wanted.amount, paid=wanted.paid)
    follows = following(current.state, observed, merchant)
    if follows is None:
        return CorrectionPlan(current.event, problem="The correction would change nothing.")
    return CorrectionPlan(current.event, observed, follows)


def following(state: PaymentState, observed: Observation, merchant: Merchant) -> PaymentStatus | None:
    """The event that resolve would publish for the observation; None if it would publish none."""
    return advance(state, observed, release_rules(merchant)).event


def _problem(current: CurrentPayment, wanted: CorrectionWanted) -> str:
    """Why the payment cannot be corrected; empty if it can."""
    if current.event is None:
        return "The payment is unknown: it has no event on payments.latest. Check the id with `paynotify trace`."
    if current.state is None:
        # resolve would take the correction for a new payment, begin at sequence 1, and every consumer would ignore it
        return "The payment's state is no longer kept (worker.retention), so its sequence cannot be continued."
    if current.event.status == wanted.status and not (wanted.amount or wanted.paid):
        return f"The payment's status is {wanted.status} already."
    return ""
