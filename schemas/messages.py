"""The messages on the topics, one frozen class each, and their encoding.

JSON Schemas under ``schemas/json`` are generated from these classes; changes within a version are additive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec
import orjson

from schemas.errors import UnreadableError
from schemas.money import Money
from schemas.reasons import RequestReason
from schemas.status import AmountCheck, Fulfilment, OrderCheck, Status

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
ORDER_HEARD_OF: Final = "payment.order.heard-of.v1"
PROVIDER_SILENT: Final = "payment.provider.silent.v1"
REQUEST_MADE: Final = "payment.request.made.v1"
REQUEST_ANSWERED: Final = "payment.request.answered.v1"

#: The values on ``lookups.<provider>.known``: whether the provider knew the id that is the record's key.
KNOWN: Final = b"known"
UNKNOWN: Final = b"unknown"

#: The argument of a recovery lookup, which no notification caused: a payment unknown to the provider is no error there.
RECOVERY: Final = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A call to make to the provider; its id is the record's ``ce_id``.

    ``operation`` is one of those in the provider's contract. ``reference`` is the provider's id of the payment or order
    (None for a pull). ``arguments`` are the provider's own, such as the notification's pull token. A recovery lookup
    has no notification: its ``notification_id`` names its cause.
    """

    provider: str
    merchant: str
    operation: str
    reference: str | None
    notification_id: str
    received_at: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One lookup that a response answers (header ``lookups`` of a response record)."""

    lookup_id: str
    reference: str | None
    received_at: str
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund or chargeback of a payment, by the provider's id for it."""

    refund_id: str
    amount: Money
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the shop expects of one payment: its order, and the amount to be paid.

    ``said`` and ``announced`` are versions, of which the greater text is the newer: of the order's expectation, and of
    the one that named the payment's own id (empty if none did). ``paid_by`` is another payment that has paid the order.
    """

    order_id: str
    amount: Money
    said: str = ""
    announced: str = ""
    paid_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one response reports about one payment, and what the shop expects of it.

    ``status`` is None if the record is only about a refund or an expectation. ``amount`` is what was to be paid,
    ``paid`` what was captured, ``capturing`` what is about to be captured. ``provider_time`` is by the provider's
    clock, if it reports it, ``observed_at`` by ours.
    """

    provider: str
    merchant: str
    payment_id: str
    order_id: str | None
    status: Status | None
    amount: Money | None = None
    paid: Money | None = None
    refund: Refund | None = None
    reason: str | None = None
    provider_status: dict[str, str] = field(default_factory=dict)
    source: str
    provider_time: str | None = None
    observed_at: str
    expected: Expectation | None = None
    capturing: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """How the payment compares with the shop's expectation."""

    amount: AmountCheck
    order: OrderCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """One event of the result topic: the newest state of one payment, and whether its goods may be released.

    ``sequence`` counts a payment's events from 1 without gaps; ``event_id`` is derived from the rest of the
    content, so a repeat is byte-identical. Amounts are integers in the currency's minor unit.
    """

    event_id: str
    sequence: int
    provider: str
    merchant: str
    payment_id: str
    order_id: str | None
    status: Status
    previous_status: Status | None
    final: bool
    fulfilment: Fulfilment
    amount: Money | None
    paid: Money | None
    refunded: Money | None
    reason: str | None
    provider_status: dict[str, str]
    checks: Checks
    source: str
    provider_time: str | None
    observed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPayment:
    """What a shop sold and expects to be paid (written by shops to ``payments.expected``).

    ``payment_id`` is the provider's id if the shop has it already. After ``final_by`` the payment is overdue; without
    it the payment never is. Times are RFC 3339 with offset.
    """

    merchant: str
    order_id: str
    amount: Money
    created_at: str
    payment_id: str | None = None
    final_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSeen:
    """The newest state of one payment, published for the stages that are keyed by order or by merchant.

    ``expected`` is what it was compared with, so that a stage with a newer expectation can correct it. ``sequence`` is
    that of the payment's event, so that an older record read again is recognised; 0 in records of earlier releases.
    """

    provider: str
    merchant: str
    payment_id: str
    order_id: str | None
    status: Status
    final: bool
    amount: Money | None
    observed_at: str
    expected: Expectation | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeReached:
    """A timer of a stage is due. ``name`` is its purpose, ``lane`` its queue, ``due`` its time.

    Time reaches a stage as a record of its own topic, so that a batch processed again after a crash has it at the same
    position.
    """

    name: str
    lane: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverduePayment:
    """An order that is not paid, declined or otherwise final in time: raised once, and cleared when it is.

    ``status`` is that of its newest payment, None if no provider has reported any. ``at`` is when the payment was to be
    final (raised), or when its final state was observed (cleared).
    """

    event_id: str
    state: Literal["raised", "cleared"]
    provider: str
    merchant: str
    order_id: str
    payment_id: str | None
    status: Status | None
    amount: Money
    created_at: str
    final_by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardOf:
    """Whether a provider reported an expected order in time: one record for each order, keyed by provider.

    ``sold_at`` is when the shop sold it, by the shop's clock.
    """

    provider: str
    merchant: str
    order_id: str
    heard: bool
    at: str
    sold_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSilent:
    """A provider that reports none of the orders expected from it (``silent``), or reports again (``heard``).

    ``merchant`` is set if it reports other merchants' orders and none of this one's. ``unheard`` is how many orders
    in a row it has not reported since ``since``. ``urgent`` means so many within a few hours that a person should be
    paged.
    """

    event_id: str
    state: Literal["silent", "heard"]
    provider: str
    unheard: int
    since: str
    at: str
    urgent: bool
    merchant: str | None = None


Action = Literal["charge", "capture", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedPayment:
    """A shop's request to charge, capture or release (written by shops to ``payments.requested``).

    ``charge`` needs ``order_id``, ``amount`` and ``reference_payment_id`` (the initial payment that registered the
    payment method). ``capture`` and ``release`` need ``payment_id``. A ``capture`` may have a smaller ``amount``; the
    rest is released. ``again`` allows a further charge for an order that has one.
    """

    request_id: str
    merchant: str
    action: Action
    order_id: str | None = None
    payment_id: str | None = None
    reference_payment_id: str | None = None
    user_id: str | None = None
    amount: Money | None = None
    capture: Literal["now", "later"] = "later"
    again: bool = False
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """The progress of a request (on ``payments.requests``). ``reason`` is a word of a closed list.

    ``received``: accepted, not started. ``started``: may have moved money. ``uncertain``: the result is being polled.
    ``refused`` and ``done`` are final; ``status`` is then the payment's. ``amount`` is the requested amount, or what is
    authorised for a ``capture`` or ``release`` without one.
    """

    event_id: str
    request_id: str
    merchant: str
    provider: str
    action: Action
    state: Literal["received", "started", "uncertain", "refused", "done"]
    reason: RequestReason | None
    order_id: str | None
    payment_id: str | None
    amount: Money | None
    status: Status | None
    at: str


Message = TypeVar("Message")


def encode(message: Any) -> bytes:
    """JSON with the class's own field order, so equal messages have equal bytes."""
    return orjson.dumps(message)


def decode(data: bytes | None, kind: type[Message]) -> Message:
    """The message in ``data``.

    Raises:
        UnreadableError: the bytes are not JSON of that kind. The text names the field.
    """
    try:
        return msgspec.json.decode(data or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not a {kind.__name__}: {_safe(error)}", "unreadable_lookup") from None


def _safe(error: Exception) -> str:
    # msgspec's texts name types and paths; only invalid enum values quote the input, and those are cut off.
    return str(error).split(" - got ")[0].split("Invalid enum value")[0] or "invalid value"
