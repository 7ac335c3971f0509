"""What the console's API answers about orders and payments."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.status import Fulfilment, Status
from paynotify.schemas.times import TimeText

#: ``unclear``: money was taken or may have been, and a person has to look.
Paid: TypeAlias = Literal["yes", "no", "unclear"]

_MERCHANT = Meta(description="The shop's account at the provider, by its id in the configuration.")
_ORDER = Meta(description="The shop's id of the order.")
_PAYMENT = Meta(description="The provider's id of the payment.")
_SENTENCE = Meta(description="For people: what may be done with the goods, why, and what happens next.")


class OrderExpectation(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop registered on `payments.expected`."""

    amount: Annotated[Money, Meta(description="What is to be paid.")]
    created_at: Annotated[TimeText, Meta(description="When the shop sold it.")]
    final_by: Annotated[TimeText | None, Meta(description="After this the order is overdue; null: never.")]
    payment_id: Annotated[str | None, Meta(description="The payment that the shop named, if any.")]


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True):
    """One payment of an order, by its newest event."""

    payment_id: Annotated[str, _PAYMENT]
    provider: Annotated[str, Meta(description="The provider's name.")]
    sequence: Annotated[int, Meta(description="That of the payment's newest event.")]
    status: Annotated[Status, Meta(description="The payment's status.")]
    fulfilment: Annotated[Fulfilment, Meta(description="What a warehouse may do because of this payment.")]
    role: Annotated[
        Literal["whole", "part", "repeat"],
        Meta(description="`part` of the order, `repeat` (a later payment of a subscription), or all of it."),
    ]
    amount: Annotated[Money | None, Meta(description="What is to be paid.")]
    paid: Annotated[Money | None, Meta(description="What was captured.")]
    refunded: Annotated[Money | None, Meta(description="The sum of the settled refunds.")]
    observed_at: Annotated[TimeText, Meta(description="When paynotify received the response behind the event.")]


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request of the shop for the order, such as a charge, by its newest state."""

    request_id: Annotated[str, Meta(description="The shop's id of the request.")]
    action: Annotated[str, Meta(description="What was requested.")]
    state: Annotated[str, Meta(description="How far it is; `uncertain`: it is not known whether money moved.")]
    reason: Annotated[str | None, Meta(description="Why it was refused, where it was.")]


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an order has been paid, and what its goods may do.

    ``paid`` is ``yes`` if money was captured and has not gone back as a whole: what was to be paid, or more. It is
    ``unclear`` if money was taken or may have been, and a person has to look.
    """

    merchant: Annotated[str, _MERCHANT]
    order_id: Annotated[str, _ORDER]
    paid: Annotated[Paid, Meta(description="The answer.")]
    sentence: Annotated[str, Meta(description="The answer for people.")]
    fulfilment: Annotated[Fulfilment, Meta(description="What a warehouse may do with the order's goods.")]
    goods: Annotated[str, _SENTENCE]
    expected: Annotated[OrderExpectation | None, Meta(description="What the shop registered; null: nothing.")]
    due: Annotated[Money | None, Meta(description="What is to be paid: what was registered, or what a payment asks.")]
    kept: Annotated[Money | None, Meta(description="What was captured and has not gone back.")]
    missing: Annotated[Money | None, Meta(description="What is missing of `due`; null: nothing is.")]
    overdue: Annotated[bool, Meta(description="Whether the payment is not final in time.")]
    payments: Annotated[tuple[OrderPayment, ...], Meta(description="Its payments, the newest first, at most 50.")]
    requests: Annotated[tuple[OrderRequest, ...], Meta(description="Its requests, at most 50.")]
    as_of: Annotated[TimeText, Meta(description="When the brokers had last told how much there is to read.")]


class PaymentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A payment's newest event, and what it means."""

    merchant: Annotated[str, _MERCHANT]
    payment_id: Annotated[str, _PAYMENT]
    sentence: Annotated[str, _SENTENCE]
    next_at: Annotated[TimeText | None, Meta(description="When the next thing happens, if that is known.")]
    event: Annotated[PaymentStatus, Meta(description="The newest event, as it is on `payments.latest`.")]
