"""The event of a payment's state after an observation."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from processors.resolve import follow_up
from processors.resolve.checks import AS_EXPECTED, check
from processors.resolve.payment_state import PaymentState
from processors.resolve.refunds import refunded_amount, with_refunds
from schemas import messages
from schemas.ids import derived_id
from schemas.messages import Observation, PaymentStatus
from schemas.money import Money
from schemas.status import FINAL, MONEY_WENT_BACK, Status, fulfilment

T = TypeVar("T")


def next_event(
    state: PaymentState, observation: Observation, reported: Status, expected_required: bool, *, takes_details: bool
) -> PaymentStatus:
    last = state.last
    has_status = observation.status is not None
    newest = has_status and takes_details
    # an older response fills in what no newer one had: a chargeback has no amount, and may be read before the capture
    amount = _merged_field(newest, observation.amount if has_status else None, last.amount if last else None)
    paid = _merged_field(newest, _paid(state, observation) if has_status else None, last.paid if last else None)
    observed_order = observation.order_id if has_status or last is None else None
    order_id = _merged_field(newest, observed_order, last.order_id if last else None)
    refunded = refunded_amount(state.refunds)
    status = with_refunds(reported, paid, refunded)
    details = observation if newest or last is None else last
    checks = check(state.expected, order_id, amount=amount, paid=paid)
    matches = paid is not None and (checks == AS_EXPECTED if state.expected else paid == amount)
    if expected_required and state.expected is None:
        matches = False
    event = PaymentStatus(
        event_id="",
        sequence=last.sequence + 1 if last else 1,
        provider=observation.provider,
        merchant=observation.merchant,
        payment_id=observation.payment_id,
        order_id=order_id,
        status=status,
        previous_status=last.status if last else None,
        final=status in FINAL,
        fulfilment=fulfilment(status, amounts_match=matches),
        amount=amount,
        paid=paid,
        refunded=refunded if status in MONEY_WENT_BACK else None,
        reason=details.reason,
        provider_status=details.provider_status,
        checks=checks,
        source=observation.source,
        provider_time=observation.provider_time,
        observed_at=observation.observed_at,
        settles_by=follow_up.settles_by(state.follows, observation.payment_id) if status == "authorised" else None,
    )
    return replace(event, event_id=derived_id("status", messages.encode(event).decode()))


def _paid(state: PaymentState, observation: Observation) -> Money | None:
    """The captured amount. Of a partial capture some providers still report the whole amount; what counts is the part
    that we requested."""
    return state.capturing or observation.paid if observation.status == "captured" else observation.paid


def _merged_field(newest: bool, observed: T | None, known: T | None) -> T | None:
    """The observed value if it is the newest, else the known one; where one is missing, the other."""
    first, second = (observed, known) if newest else (known, observed)
    return second if first is None else first
