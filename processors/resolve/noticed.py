"""What of an observation a person has to know of: money that is not where the published status says it is."""

from __future__ import annotations

from collections.abc import Iterator

from processors.resolve.payment_state import Advance, PaymentState
from schemas.ids import derived_id
from schemas.messages import Observation, OperationsEvent, OperationsKind, PaymentStatus
from schemas.status import Status


def noticed(
    before: PaymentState, observation: Observation, after: Advance, observation_id: str
) -> Iterator[OperationsEvent]:
    """The cases of one observation. Processed again on the state after it, an observation has none: by then its events
    are durable, as outputs are acknowledged before the state is."""
    if after.money_taken_back and before.last is not None:
        yield _case("money_taken_back", observation, before.last, observation_id, refused=observation.status)
    changed = after.event
    if changed is not None and after.money_returned:
        yield _case("money_returned", observation, changed, changed.event_id)
    if changed is not None and after.refunded_beyond:
        yield _case("over_refunded", observation, changed, changed.event_id)
    if observation.correction is not None and after.state.corrections != before.corrections:
        # also of a correction that changed nothing, of which no status event tells
        shown = changed or before.last
        if shown is not None:
            yield _case("corrected", observation, shown, after.state.corrections[-1])


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
