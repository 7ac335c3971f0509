"""The types of the CloudEvents on the topics (header ``ce_type``)."""

from __future__ import annotations

from typing import Final, Literal, get_args

NOTIFICATION_RECEIVED: Final = "payment.notification.received.v1"

NOTIFICATION_DUPLICATE: Final = "payment.notification.duplicate.v1"

PROVIDER_ALERT: Final = "payment.provider.alert.v1"

LOOKUP_REQUESTED: Final = "payment.lookup.requested.v1"

RESPONSE_RECEIVED: Final = "payment.response.received.v1"

PAYMENT_OBSERVED: Final = "payment.observed.v1"

STATUS_CHANGED: Final = "payment.status.changed.v1"

PAYMENT_EXPECTED: Final = "payment.expected.v1"

PAYMENT_SEEN: Final = "payment.seen.v1"

PAYMENT_OVERDUE: Final = "payment.overdue.v1"

TIME_REACHED: Final = "payment.time.reached.v1"

#: An operator wants a payment forgotten.
FORGET_REQUESTED: Final = "payment.forget.requested.v1"

#: A tombstone on ``payments.latest``: it has no value.
PAYMENT_FORGOTTEN: Final = "payment.forgotten.v1"

ORDER_HEARD_OF: Final = "payment.order.heard-of.v1"

PROVIDER_SILENT: Final = "payment.provider.silent.v1"

REQUEST_MADE: Final = "payment.request.made.v1"

REQUEST_ANSWERED: Final = "payment.request.answered.v1"

OPERATIONS_NOTICED: Final = "payment.operations.noticed.v1"

OPERATOR_ACTED: Final = "payment.operator.acted.v1"

RECONCILIATION_ENDED: Final = "payment.reconciliation.ended.v1"

#: The events of the result topics that subscribers are called with.
DeliveredType = Literal["payment.status.changed.v1", "payment.overdue.v1", "payment.request.answered.v1"]
DELIVERED_TYPES: Final[tuple[DeliveredType, ...]] = get_args(DeliveredType)
