"""What the events on the topics carry: the message in the value, by the event's type (header ``ce_type``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.schemas.messages import event_types
from paynotify.schemas.messages.lookups import Lookup
from paynotify.schemas.messages.observations import Observation
from paynotify.schemas.messages.operations import OperationsEvent
from paynotify.schemas.messages.operators import OperatorAction
from paynotify.schemas.messages.orders import ExpectedPayment, HeardOf, OverduePayment, ProviderSilent
from paynotify.schemas.messages.payments import ForgetRequested, PaymentSeen, PaymentStatus, TimeReached
from paynotify.schemas.messages.reconciliations import Reconciliation
from paynotify.schemas.messages.requests import PaymentRequest, RequestedPayment

#: Other types carry what callers or providers sent, or nothing.
EVENT_DATA: Final[Mapping[str, type[Any]]] = {
    event_types.LOOKUP_REQUESTED: Lookup,
    event_types.PAYMENT_OBSERVED: Observation,
    event_types.STATUS_CHANGED: PaymentStatus,
    event_types.PAYMENT_EXPECTED: ExpectedPayment,
    event_types.PAYMENT_SEEN: PaymentSeen,
    event_types.PAYMENT_OVERDUE: OverduePayment,
    event_types.TIME_REACHED: TimeReached,
    event_types.FORGET_REQUESTED: ForgetRequested,
    event_types.ORDER_HEARD_OF: HeardOf,
    event_types.PROVIDER_SILENT: ProviderSilent,
    event_types.REQUEST_MADE: RequestedPayment,
    event_types.REQUEST_ANSWERED: PaymentRequest,
    event_types.OPERATIONS_NOTICED: OperationsEvent,
    event_types.OPERATOR_ACTED: OperatorAction,
    event_types.RECONCILIATION_ENDED: Reconciliation,
}
