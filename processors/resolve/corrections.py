"""Corrections: an operator's word about a payment's status, which counts whatever the table of transitions says.

Providers tell nobody of a dispute that was won. What they report later continues from the corrected status.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from paynotify.processors.resolve.checks import newest_expectation
from paynotify.processors.resolve.events import concluded, next_event
from paynotify.processors.resolve.payment_state import Advance, PaymentState
from paynotify.processors.resolve.release import ReleaseRules
from paynotify.schemas import messages
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Observation
from paynotify.schemas.status import Status

#: How many corrections of one payment are recognised when they are read again.
_REMEMBERED: Final = 16


def predates_correction(state: PaymentState, observation: Observation) -> bool:
    """Whether the observation is not newer than what was known when the payment was corrected."""
    return (observation.provider_time or observation.observed_at) <= state.corrected_at


def corrected(state: PaymentState, observation: Observation, rules: ReleaseRules) -> Advance:
    """Apply an operator's correction; read again, it changes nothing."""
    status = observation.status
    correction_id = derived_id("correction", messages.encode(observation).decode())
    if status is None or correction_id in state.corrections:
        return Advance(state, "unchanged")
    known = replace(state, corrections=(*state.corrections, correction_id)[-_REMEMBERED:])
    state = replace(
        known,
        reported=status,
        expected=newest_expectation(observation.expected, state.expected),
        correction=observation.correction,
        # the operator's clock may be slow: whatever was processed before the correction was known to it
        corrected_at=max(state.corrected_at, observation.observed_at, state.newest[0] or state.newest[1]),
        secured=False,
        returned=False,
    )
    for overridden in _overridden(state, status):
        state = replace(state, overridden=overridden)
        event = next_event(state, observation, status, rules, takes_details=True)
        if event.status == status:
            break
    after = concluded(state, event)
    # one that changes nothing is only remembered: read again, it must not apply to what came after it
    return after if after.event is not None else Advance(known, "unchanged")


def _overridden(state: PaymentState, status: Status) -> tuple[tuple[str, ...], ...]:
    """The ids of the refunds and chargebacks that are void if the payment has this status: as few as possible first.

    Their records stay at the provider and are read again with each response. Later ones count. A refund under way is
    never void: its money has not moved, and will.
    """
    chargebacks = tuple(one.chargeback_id for one in state.chargebacks)
    everything = (*chargebacks, *(one.refund_id for one in state.refunds if one.settled))
    if status == "charged_back":
        return ((),)
    if status in ("partially_refunded", "refunded"):
        return chargebacks, everything
    return (everything,)
