"""Histories of one payment: what is observed of it at which moment, and the state and events that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from paynotify.processors.resolve.payment_state import Advance, PaymentState
from paynotify.processors.resolve.release import CAPTURED_ONLY, ReleaseRules
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.messages import Chargeback, Correction, Expectation, Observation, PaymentStatus, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.observations import observation

#: Of a merchant that ships at the authorisation.
EARLY: Final = ReleaseRules(authorised=True)


def pounds(pence: int) -> Money:
    return Money(pence, "GBP")


def moment(number: int) -> str:
    return f"2026-06-01T12:{number // 60:02}:{number % 60:02}.000Z"


def seen(status: Status | None, at: int = 0, **fields: Any) -> Observation:
    """The payment, of ten pounds, observed at a moment."""
    return observation("p1", status, provider_time=moment(at), observed_at=moment(at), **fields)


def refund(
    refund_id: str, pence: int, at: int = 0, *, settled: bool = False, ended: bool = False, currency: str = "GBP"
) -> Observation:
    """A refund observed at a moment: accepted, unless something else is said."""
    one = Refund(refund_id=refund_id, amount=Money(pence, currency), settled=settled, ended=ended)
    return seen(None, at, refund=one, amount=None)


def chargeback(chargeback_id: str, pence: int | None, at: int = 0) -> Observation:
    amount = None if pence is None else pounds(pence)
    return seen(None, at, chargeback=Chargeback(chargeback_id=chargeback_id, amount=amount), amount=None)


def expected(pence: int = 1000, **fields: Any) -> Expectation:
    """What the shop said of the payment's order."""
    return Expectation(**{"order_id": "order-p1", "amount": pounds(pence), **fields})


def correction(status: Status, at: int, by: str = "anna", **fields: Any) -> Observation:
    """What ``paynotify correct`` writes: no order, no amount that the operator did not name, and no provider's time."""
    said = Correction(by=by, reason="case 4711")
    defaults = {"order_id": None, "amount": None, "paid": None}
    return observation(
        "p1", status, source="OPERATOR", observed_at=moment(at), correction=said, **{**defaults, **fields}
    )


def run(
    observations: Sequence[Observation], state: PaymentState | None = None, rules: ReleaseRules = CAPTURED_ONLY
) -> tuple[PaymentState, list[Advance]]:
    """The state after the observations, and the result of each."""
    state, steps = state or PaymentState(), []
    for one in observations:
        steps.append(advance(state, one, rules))
        state = steps[-1].state
    return state, steps


def events(
    observations: Sequence[Observation], state: PaymentState | None = None, rules: ReleaseRules = CAPTURED_ONLY
) -> list[PaymentStatus]:
    """The events that follow from the observations."""
    return [step.event for step in run(observations, state, rules)[1] if step.event is not None]
