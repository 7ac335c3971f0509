"""The values that travel on the topics, one frozen class each, and how they become bytes.

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

#: The argument that marks a lookup no notification caused: an answer that knows nothing is an answer to it.
RECOVERY: Final = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A request to ask the provider about something; its id is the record's ``ce_id``.

    ``operation`` is one of those in the provider's contract. ``reference`` is the provider's id of what is asked about
    (None for a pull); ``arguments`` holds what only the provider itself understands, such as the notification's pull
    token. A lookup of recovery has no notification: there ``notification_id`` is a word for what made it necessary.
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
    """Money on its way back: one child of a payment, by the provider's id for it."""

    refund_id: str
    amount: Money
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the shop says of one payment: the order it is for, and the amount to be paid.

    ``said`` places it among all that was said of the order, ``announced`` what named the payment's own id (empty if
    nothing did) among all that named it: texts that only tell which of two is the newer. ``paid_by`` is the payment
    that the order was paid by already, if that is another one.
    """

    order_id: str
    amount: Money
    said: str = ""
    announced: str = ""
    paid_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one response says about one payment, and what the shop said of it before.

    ``status`` is none where the record speaks only of a refund, or of what is ``expected``. ``amount`` is what was to
    be paid, ``paid`` what was captured, ``capturing`` what we are about to capture of it. ``provider_time`` is the
    provider's own clock where it tells, ``observed_at`` ours.
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
    """How the payment compares with what the shop expected."""

    amount: AmountCheck
    order: OrderCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """One event of the result topic: the newest state of one payment, and what may be done about it.

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

    ``payment_id`` is the provider's id where the shop has it already; ``final_by`` the time after which the payment is
    overdue, none for a payment that nobody waits for. Times are RFC 3339 with offset.
    """

    merchant: str
    order_id: str
    amount: Money
    created_at: str
    payment_id: str | None = None
    final_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSeen:
    """The newest state of one payment, told to the stages that are keyed by order or by merchant.

    ``expected`` is what it was compared with, so that a stage that knows better can say so. ``sequence`` is the
    payment's event's, so that older news read again is known as such; 0 where a former release told it.
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
    """A time that a stage waited for has come: ``name`` says what for, ``due`` when it was to be.

    Time comes as a record of the stage's own log, so that a batch repeated after a crash finds it in the same place.
    """

    name: str
    lane: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverduePayment:
    """An order that is not paid, declined or otherwise final in time: raised once, and cleared when it is.

    ``status`` is the newest of its payments, none where no provider has told of any. ``at`` is when the payment was
    to be final (raised), or when its final state was observed (cleared).
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
    """Whether a provider told of an expected order in time: one for each order, added up by provider.

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
    """A provider that tells of none of the orders expected from it, or tells again.

    ``merchant`` is named where it tells of other merchants' orders, and of none of this one's. ``unheard`` is how many
    orders in a row it has not told of, since ``since``; ``urgent`` if they were so many within a few hours that
    somebody should be woken.
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
    """Something a shop wants done at a provider (written by shops to ``payments.requested``).

    ``charge`` needs ``order_id``, ``amount`` and ``reference_payment_id`` (the payment that registered the means of
    payment); ``capture`` and ``release`` need ``payment_id``, and a ``capture`` may name a smaller ``amount``, the rest
    of which is released. ``again`` marks a further charge for an order that has one already as intended.
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
    """How far a request is (on ``payments.requests``). ``reason`` is a word of a closed list.

    ``received`` is accepted and not yet begun, ``started`` may have moved money, ``uncertain`` waits for the truth,
    ``refused`` and ``done`` are its end; ``status`` is then what became of the payment. ``amount`` is what was asked
    for, of a ``capture`` or ``release`` without one what is authorised.
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
        UnreadableError: the bytes are no JSON of that kind; the text names the field.
    """
    try:
        return msgspec.json.decode(data or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not a {kind.__name__}: {_safe(error)}", "unreadable_lookup") from None


def _safe(error: Exception) -> str:
    # msgspec's texts name types and paths; only invalid enum values quote the input, and those are cut off.
    return str(error).split(" - got ")[0].split("Invalid enum value")[0] or "invalid value"
