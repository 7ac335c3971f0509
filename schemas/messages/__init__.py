"""The messages on the topics, one frozen class each, and their encoding.

JSON Schemas under ``schemas/json`` are generated from these classes; changes within a version are additive.
"""

from schemas.messages.encoding import decode, encode, fields_of
from schemas.messages.event_types import (
    LOOKUP_REQUESTED,
    NOTIFICATION_DUPLICATE,
    NOTIFICATION_RECEIVED,
    ORDER_HEARD_OF,
    PAYMENT_EXPECTED,
    PAYMENT_OBSERVED,
    PAYMENT_OVERDUE,
    PAYMENT_SEEN,
    PROVIDER_ALERT,
    PROVIDER_SILENT,
    REQUEST_ANSWERED,
    REQUEST_MADE,
    RESPONSE_RECEIVED,
    STATUS_CHANGED,
    TIME_REACHED,
)
from schemas.messages.lookups import (
    AMOUNT_MISSING,
    CAUSE,
    CAUSES,
    KNOWN,
    RECOVERY,
    REFERENCES,
    SETTLEMENT_DUE,
    UNKNOWN,
    Answered,
    Lookup,
)
from schemas.messages.observations import Chargeback, Correction, Expectation, FollowUp, Observation, OrderRole, Refund
from schemas.messages.orders import ExpectedPayment, HeardOf, OverduePayment, ProviderSilent
from schemas.messages.payments import Checks, PaymentSeen, PaymentStatus, TimeReached
from schemas.messages.requests import Action, PaymentRequest, RequestedPayment

__all__ = [
    "AMOUNT_MISSING",
    "CAUSE",
    "CAUSES",
    "KNOWN",
    "LOOKUP_REQUESTED",
    "NOTIFICATION_DUPLICATE",
    "NOTIFICATION_RECEIVED",
    "ORDER_HEARD_OF",
    "PAYMENT_EXPECTED",
    "PAYMENT_OBSERVED",
    "PAYMENT_OVERDUE",
    "PAYMENT_SEEN",
    "PROVIDER_ALERT",
    "PROVIDER_SILENT",
    "RECOVERY",
    "REFERENCES",
    "REQUEST_ANSWERED",
    "REQUEST_MADE",
    "RESPONSE_RECEIVED",
    "SETTLEMENT_DUE",
    "STATUS_CHANGED",
    "TIME_REACHED",
    "UNKNOWN",
    "Action",
    "Answered",
    "Chargeback",
    "Checks",
    "Correction",
    "Expectation",
    "ExpectedPayment",
    "FollowUp",
    "HeardOf",
    "Lookup",
    "Observation",
    "OrderRole",
    "OverduePayment",
    "PaymentRequest",
    "PaymentSeen",
    "PaymentStatus",
    "ProviderSilent",
    "Refund",
    "RequestedPayment",
    "TimeReached",
    "decode",
    "encode",
    "fields_of",
]
