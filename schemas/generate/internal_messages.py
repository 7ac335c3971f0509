"""The messages between paynotify's own stages. They may be read for diagnosis; nobody else should write them."""

from __future__ import annotations

from typing import Final

from paynotify.schemas import messages
from paynotify.schemas.generate.delivery_messages import DELIVERY_MESSAGES
from paynotify.schemas.generate.record_headers import CLOUD_EVENT, stored_request_headers
from paynotify.schemas.generate.topic_messages import TopicMessage
from paynotify.schemas.messages import event_types

_ANY_BYTES: Final = "application/octet-stream"
_RECEIVED_KEY: Final = "{merchant}/{transaction}"
_RECEIVED_KEY_MEANING: Final = "`{merchant}` where all of a merchant's notifications are one queue"
_AS_BEFORE: Final = "as the original record's"
_CALL: Final = ("http-method",)
_CALLER: Final = (
    *("traceparent", "content-type", "http-query", "user-agent", "x-request-id"),
    *("http-content-encoding", "url-token", "masked-card-numbers", "encryption-key"),
)
_ORIGIN: Final = ("reason", "original-topic", "original-partition", "original-offset", "attempts", "first-seen")
_WAITS: Final = ("attempts", "reason", "not-before")


def internal_messages() -> tuple[TopicMessage, ...]:
    """All of them, in the order of the flow. The headers of notifications depend on the registered providers."""
    received = (*_CALLER, *stored_request_headers(), "stored-at", "replayed-from")
    return (
        TopicMessage(
            name="NotificationReceived",
            title="Notification received",
            summary="One webhook call exactly as received.",
            description="The value is the call's body, inflated if it came compressed. A GET has none.",
            key=_RECEIVED_KEY,
            key_meaning=_RECEIVED_KEY_MEANING,
            event_types=(event_types.NOTIFICATION_RECEIVED,),
            content_type=_ANY_BYTES,
            required_headers=(*CLOUD_EVENT, *_CALL),
            optional_headers=(*received, *_WAITS),
        ),
        TopicMessage(
            name="NotificationWaiting",
            title="Notification waiting",
            summary="A notification that can't be judged yet and is verified again later.",
            description="Value, key and headers are those of the notification.",
            key=_RECEIVED_KEY,
            key_meaning=_RECEIVED_KEY_MEANING,
            event_types=(event_types.NOTIFICATION_RECEIVED,),
            content_type=_ANY_BYTES,
            required_headers=(*CLOUD_EVENT, *_CALL, *_WAITS),
            optional_headers=received,
        ),
        TopicMessage(
            name="NotificationRejected",
            title="Notification rejected",
            summary="A notification that causes no lookup, with the reason.",
            description="Value, key and headers are those of the notification. `paynotify replay` publishes it again.",
            key=_RECEIVED_KEY,
            key_meaning=_RECEIVED_KEY_MEANING,
            event_types=(event_types.NOTIFICATION_RECEIVED,),
            content_type=_ANY_BYTES,
            required_headers=(*CLOUD_EVENT, *_CALL, *_ORIGIN),
            optional_headers=(*received, "not-before"),
        ),
        TopicMessage(
            name="NotificationRepeated",
            title="Notification repeated",
            summary="A second delivery of the same notification. The value is empty.",
            description="`ce_id` is the repeat's id, `duplicate-of` the original's.",
            key=_RECEIVED_KEY,
            key_meaning=_RECEIVED_KEY_MEANING,
            event_types=(event_types.NOTIFICATION_DUPLICATE,),
            form={"maxLength": 0},
            content_type=_ANY_BYTES,
            required_headers=(
                *CLOUD_EVENT,
                "duplicate-of",
                "original-topic",
                "original-partition",
                "original-offset",
            ),
        ),
        TopicMessage(
            name="ProviderAlerted",
            title="Provider's alert",
            summary="A provider's message about its service rather than about a payment.",
            description="Value, key and headers are those of the notification.",
            key=_RECEIVED_KEY,
            key_meaning=_RECEIVED_KEY_MEANING,
            event_types=(event_types.NOTIFICATION_RECEIVED,),
            content_type=_ANY_BYTES,
            required_headers=(*CLOUD_EVENT, *_CALL, "alert", "alert-kind", "alert-state"),
            optional_headers=(*received, *_WAITS),
        ),
        *_lookups(),
        *_facts(),
        *_of_stages(),
        *DELIVERY_MESSAGES,
    )


def _lookups() -> tuple[TopicMessage, ...]:
    key, key_meaning = "{merchant}/{reference}", "`{merchant}` of a lookup by order or of many payments"
    optional = ("traceparent", "known", "again-of", "held-since", "replayed-from")
    return (
        TopicMessage(
            name="LookupRequested",
            title="Lookup requested",
            summary="A call to make to the provider.",
            description="`ce_id` is the lookup's id. The same notification always has the same lookup id.",
            event_types=(event_types.LOOKUP_REQUESTED,),
            value=messages.Lookup,
            optional_headers=(*optional, *_WAITS, "first-seen"),
            key=key,
            key_meaning=key_meaning,
        ),
        TopicMessage(
            name="LookupWaiting",
            title="Lookup waiting",
            summary="A lookup that waits for its next try.",
            description="`held-since` is set while every call for its merchant fails; it has then made no attempt.",
            event_types=(event_types.LOOKUP_REQUESTED,),
            value=messages.Lookup,
            required_headers=(*CLOUD_EVENT, "reason", "first-seen", "not-before"),
            optional_headers=(*optional, "attempts"),
            key=key,
            key_meaning=key_meaning,
        ),
        TopicMessage(
            name="IdKnown",
            title="Id known",
            summary="Whether the provider knew the id of an unsigned notification.",
            description="The key is the id. It bounds the lookups that unsigned calls may cause.",
            key=_RECEIVED_KEY,
            form={"enum": [messages.KNOWN.decode(), messages.UNKNOWN.decode()]},
            content_type="text/plain",
            required_headers=(),
            optional_headers=(),
        ),
        TopicMessage(
            name="RecordDead",
            title="Record dead-lettered",
            summary="A lookup, response, order or request whose processing ended without a result, with the reason.",
            description="Value, key and headers are those of the original. `paynotify replay` publishes it again.",
            key="",
            key_meaning=_AS_BEFORE,
            content_type=_ANY_BYTES,
            required_headers=_ORIGIN,
            optional_headers=(
                *CLOUD_EVENT,
                *("ce_subject", "ce_dataschema", "__value_schema_id"),
                *_RESPONSE,
                *optional,
                *_RESPONSE_MORE,
                "received-at",
                "not-before",
                "elements",
            ),
        ),
    )


_RESPONSE: Final = ("http-status", "lookups")
_RESPONSE_MORE: Final = (
    "content-type",
    "reference",
    "content-encoding",
    "incomplete",
    "clock",
    "masked-card-numbers",
    "encryption-key",
)


def _facts() -> tuple[TopicMessage, ...]:
    return (
        TopicMessage(
            name="ResponseReceived",
            title="Response received",
            summary="What the provider returned to a lookup, exactly as received.",
            description="Headers that begin with `fact-` say in which circumstances the provider was called.",
            key="{merchant}/{reference}",
            key_meaning="`{merchant}` if it is about several payments",
            event_types=(event_types.RESPONSE_RECEIVED,),
            content_type=_ANY_BYTES,
            required_headers=(*CLOUD_EVENT, *_RESPONSE),
            optional_headers=("traceparent", *_RESPONSE_MORE, "replayed-from"),
        ),
        TopicMessage(
            name="PaymentObserved",
            title="Payment observed",
            summary="What one response says about one payment, what a shop expects of it, or an operator's correction.",
            description="`status` is null if the record is only about a refund, a chargeback or an expectation.",
            key="{merchant}/{payment_id}",
            event_types=(event_types.PAYMENT_OBSERVED,),
            value=messages.Observation,
            optional_headers=("traceparent", "received-at"),
        ),
        TopicMessage(
            name="ForgetRequested",
            title="Forgetting requested",
            summary="An operator wants a payment's newest event off `payments.latest`.",
            description="`sequence` is that event's. Newer events stay.",
            key="{merchant}/{payment_id}",
            event_types=(event_types.FORGET_REQUESTED,),
            value=messages.ForgetRequested,
        ),
        TopicMessage(
            name="OperatorActed",
            title="Operator acted",
            summary="What an operator does: an intention before the first effect, then how it ended.",
            description="Both records have the same `action_id`. Without the second one nobody knows how it ended.",
            key="{merchant}/{payment_id}",
            key_meaning="`{action_id}` where the action names no payment",
            event_types=(event_types.OPERATOR_ACTED,),
            value=messages.OperatorAction,
        ),
        TopicMessage(
            name="ReconciliationEnded",
            title="Reconciliation ended",
            summary="What one finished run of `paynotify reconcile` found.",
            description="It names the first differences; `differences_total` is how many there are.",
            key="{merchant}",
            event_types=(event_types.RECONCILIATION_ENDED,),
            value=messages.Reconciliation,
        ),
    )


def _of_stages() -> tuple[TopicMessage, ...]:
    return (
        TopicMessage(
            name="OrderExpected",
            title="Order expected",
            summary="A shop's expectation, checked and keyed by its order.",
            description="`said` is its version: of several of one order the newest counts.",
            key="{merchant}/{order_id}",
            event_types=(event_types.PAYMENT_EXPECTED,),
            value=messages.ExpectedPayment,
            required_headers=(*CLOUD_EVENT, "said"),
        ),
        TopicMessage(
            name="PaymentSeen",
            title="Payment seen",
            summary="The newest state of a payment, for the stages that are keyed by order or by merchant.",
            description="`sequence` is that of the payment's event.",
            key="{merchant}/{order_id}",
            key_meaning="`{merchant}` on `payments.charges`",
            event_types=(event_types.PAYMENT_SEEN,),
            value=messages.PaymentSeen,
        ),
        TopicMessage(
            name="OrderHeardOf",
            title="Order heard of",
            summary="Whether a provider reported an expected order in time.",
            description="One record for each order. All orders of a provider are counted in one partition.",
            key="{provider}",
            event_types=(event_types.ORDER_HEARD_OF,),
            value=messages.HeardOf,
        ),
        TopicMessage(
            name="RequestAccepted",
            title="Request accepted",
            summary="A shop's request, keyed by its merchant, with the time of its receipt.",
            description="One partition has all of a merchant's requests, so that its limits are counted in one place.",
            key="{merchant}",
            event_types=(event_types.REQUEST_MADE,),
            value=messages.RequestedPayment,
            required_headers=(*CLOUD_EVENT, "received-at"),
        ),
        TopicMessage(
            name="TimeReached",
            title="Time reached",
            summary="A timer of a stage is due.",
            description="Time is a record of the stage's own topic, so a batch that is processed again meets it again.",
            key="",
            key_meaning="what the timer is of: an order, a payment or a merchant",
            event_types=(event_types.TIME_REACHED,),
            value=messages.TimeReached,
        ),
        TopicMessage(
            name="ClockRead",
            title="Clock read",
            summary="An empty record, stamped by the brokers' clock.",
            description="`paynotify doctor` compares its own clock with it.",
            key="",
            key_meaning="none",
            form={"maxLength": 0},
            content_type=_ANY_BYTES,
            required_headers=(),
            optional_headers=(),
        ),
    )
