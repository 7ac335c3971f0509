"""The protocol between the charges stage and a provider that charges without the customer.

Of the four calls only ``start`` and ``close`` move money: ``init`` opens a transaction at the provider, ``start``
charges or authorises, ``close`` captures or voids an authorisation, ``get_payment`` reads the payment's state. The
stage decides on their outcomes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.status import Status


@dataclass(frozen=True, slots=True)
class ChargeOpened:
    """The provider has created a transaction; no money has moved."""

    payment_id: str


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """The payment's state by the provider's ``response``, true as of ``observed_at``."""

    status: Status
    amount: Money | None
    order_id: str | None
    observed_at: str
    response: ProviderResponse


NotDone = Failed[RequestReason] | RetryLater[RequestReason]
OpenOutcome = ChargeOpened | NotDone
MoneyOutcome = ChargeReport | NotDone | Unknown[RequestReason]
ReadOutcome = ChargeReport | NotDone


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """What a transaction is opened for."""

    order_id: str
    amount: Money
    reference_payment_id: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrVoid:
    """What to do with an authorisation: ``capture`` this ``amount`` and void the rest, or void all of it.

    ``authorised`` is None where the amount is not known; then only all of it can be captured or voided.
    """

    payment_id: str
    capture: bool
    amount: Money | None
    authorised: Money | None


class ChargeGateway(Protocol):
    """One payment service provider that makes merchant-initiated charges."""

    name: str
    #: Whether its notifications are unsigned, so that `verify` must be told which payments are its own.
    unsigned: bool
    #: How a payment's id looks, for people, such as "32 lower-case hex digits".
    payment_id_form: str

    def is_payment_id(self, text: str) -> bool:
        """Whether the text has the form of a payment's id."""

    def problem(self, asked: RequestedPayment, account: Account[Any]) -> RequestReason | None:
        """What the provider would not accept in the request or in the merchant's settings; None if nothing."""

    async def init(self, order: ChargeOrder, account: Account[Any], context: CallContext) -> OpenOutcome:
        """Open a transaction. May be repeated: a transaction that is not started moves no money."""

    async def start(self, payment_id: str, account: Account[Any], context: CallContext) -> MoneyOutcome:
        """Charge. Must not be repeated unless the outcome is `RetryLater`."""

    async def close(self, closing: CaptureOrVoid, account: Account[Any], context: CallContext) -> MoneyOutcome:
        """Capture or void. Must not be repeated unless the outcome is `RetryLater`, or a poll finds it still open."""

    async def get_payment(self, payment_id: str, account: Account[Any], context: CallContext) -> ReadOutcome:
        """The provider's state of a payment. A read, which may be repeated."""
