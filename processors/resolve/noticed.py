"""What of an observation a person has to know of: money that is not where the published status says it is."""

from __future__ import annotations

from paynotify.processors.resolve.payment_state import Advance, PaymentState
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Observation, OperationsEvent, OperationsKind, PaymentStatus
from paynotify.schemas.records import Record
from paynotify.schemas.status import Status


def noticed(before: PaymentState, observation: Observation, after: Advance, record: Record) -> list[OperationsEvent]:
    """The cases of one observation. Processed again on the state after it, an observation has none: by then its events
    are durable, as outputs are acknowledged before the state is."""
    cases: list[OperationsEvent] = []
    if after.money_taken_back and before.last is not None:
        observation_id = record.header("ce_id") or f"{record.topic}/{record.partition}/{record.offset}"
        cases.append(_case("money_taken_back", observation, before.last, observation_id, refused=observation.status))
    changed = after.event
    if changed is not None and after.money_returned:
        cases.append(_case("money_returned", observation, changed, changed.event_id))
    if changed is not None and after.refunded_beyond:
        cases.append(_case("over_refunded", observation, changed, changed.event_id))
    if observation.correction is not None and after.state.corrections != before.corrections:
        # also of a correction that changed nothing, of which no status event tells
        shown = changed or before.last
        if shown is not None:
            cases.append(_case("corrected", observation, shown, after.state.corrections[-1]))
    return cases


def _case(
    kind: OperationsKind,
    observation: Observation,
    shown: PaymentStatus,
    cause: str,
    refused: Status | None = None,
) -> OperationsEvent:
    return OperationsEvent(
        event_id=derived_id("operations", kind, cause),
        kind=kind,
        provider=observation.provider,
        merchant=observation.merchant,
        cause=cause,
        at=observation.observed_at,
        payment_id=observation.payment_id,
        status=shown.status,
        previous_status=shown.previous_status,
        refused=refused,
        captured=shown.paid,
        refunded=shown.refunded,
    )
