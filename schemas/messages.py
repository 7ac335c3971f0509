"""The values that travel on the topics, one frozen class each, and how they become bytes.

JSON Schemas under ``schemas/json`` are generated from these classes; changes within a version are additive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec
import orjson

from schemas.errors import Unreadable
from schemas.money import Money
from schemas.status import AmountCheck, Fulfilment, OrderCheck, Status

NOTIFICATION_RECEIVED: Final = "payment.notification.received.v1"
NOTIFICATION_DUPLICATE: Final = "payment.notification.duplicate.v1"
PROVIDER_ALERT: Final = "payment.provider.alert.v1"
LOOKUP_REQUESTED: Final = "payment.lookup.requested.v1"
RESPONSE_RECEIVED: Final = "payment.response.received.v1"
PAYMENT_OBSERVED: Final = "payment.observed.v1"
STATUS_CHANGED: Final = "payment.status.changed.v1"

#: What a lookup asks for. ``pull`` drains a webshop's waiting results; the others ask about one transaction.
Operation = Literal["pull", "order", "transaction", "result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A request to ask the provider about something; its id is the record's ``ce_id``.

    ``reference`` is the provider's id of what is asked about (none for a pull); ``arguments`` holds what only
    the provider's own module understands, such as the notification's pull token.
    """

    provider: str
    merchant: str
    operation: Operation
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
class Observation:
    """What one response says about one payment.

    ``status`` is none where the response speaks only of a refund. ``amount`` is what was to be paid, ``paid`` what
    was captured. ``provider_time`` is the provider's own clock where it tells, ``observed_at`` ours.
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
    """What a shop sold and expects to be paid (written by shops to ``payments.expected``)."""

    merchant: str
    order_id: str
    amount: Money
    created_at: str
    payment_id: str | None = None
    final_by: str | None = None


Message = TypeVar("Message")


def encode(message: Any) -> bytes:
    """JSON with the class's own field order, so equal messages have equal bytes."""
    return orjson.dumps(message)


def decode(data: bytes | None, kind: type[Message]) -> Message:
    """The message in ``data``.

    Raises:
        Unreadable: the bytes are no JSON of that kind; the text names the field.
    """
    try:
        return msgspec.json.decode(data or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a {kind.__name__}: {_safe(error)}", "unreadable_lookup") from None


def _safe(error: Exception) -> str:
    # msgspec's texts name types and paths; only invalid enum values quote the input, and those are cut off.
    return str(error).split(" - got ")[0].split("Invalid enum value")[0] or "invalid value"
