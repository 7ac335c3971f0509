"""Observations: what one response reports about one payment."""

from __future__ import annotations

from typing import Literal

import msgspec

from paynotify.schemas.messages.empty import no_words
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import TimeText


class Refund(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A refund of a payment, by the provider's id for it: accepted and under way, or ``settled``.

    ``ended``: it was accepted and will not happen, as the provider cancelled or suspended it.
    """

    refund_id: str
    amount: Money
    settled: bool
    ended: bool = False


class Chargeback(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A chargeback of a payment, by the provider's id for it. ``amount`` is None where the provider names none: all."""

    chargeback_id: str
    amount: Money | None


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request that the provider will still change without a notification, and when to look it up again.

    ``reference`` is the payment's id, or a refund's. ``due`` is the next look, a day after the other, and the last one
    is at ``until``; a ``due`` of None says that the time is over and nobody looks any more. ``settles_by`` is when the
    provider is to have settled it.
    """

    reference: str
    due: TimeText | None
    until: TimeText
    settles_by: TimeText


class Correction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operator's correction of a payment's status: who made it and why."""

    by: str
    reason: str


#: What a payment is to its order: all of it, a part that adds up with others (a split shipment, an instalment), or a
#: later payment of a subscription.
OrderRole = Literal["whole", "part", "repeat"]


class Expectation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the shop expects of one payment: its order, and the amount to be paid.

    ``said`` and ``announced`` are versions, of which the greater text is the newer: of the order's expectation, and of
    the one that named the payment's own id (empty if none did). ``paid_by`` is another payment that has paid the order.
    ``several``: more than one payment may pay for the order in full, so no payment is one too many.

    ``other_parts`` is what the order's other parts hold or took (0 if none does), where the payment is a part, and
    ``parts_version`` grows with each change of it. None says that it is not known here, so what was known before still
    counts.
    """

    order_id: str
    amount: Money
    said: str = ""
    announced: str = ""
    paid_by: str | None = None
    other_parts: Money | None = None
    several: bool = False
    parts_version: int = 0


class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What one response reports about one payment, and what the shop expects of it.

    ``status`` is None if the record is only about a refund, a chargeback or an expectation. ``amount`` is what was to
    be paid, ``paid`` what was captured, ``capturing`` what is about to be captured, all in the merchant's currency;
    ``customer_amount`` is the same amount in the customer's, where that is another. ``provider_time`` is by the
    provider's clock, if it reports it, ``observed_at`` by ours.

    ``follow`` is set while the provider will still change the payment, or the refund, without a notification.
    ``secured``: authorised, and the provider's rules for shipping before the capture hold. ``returnable``: captured
    money of this payment method may be taken back without a refund. ``correction`` is set if an operator made it.
    ``moneyless``: nothing was to be paid, as when a card is only verified; it counts only where the payment is known or
    expected.
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
    provider_status: dict[str, str] = msgspec.field(default_factory=no_words)
    source: str
    provider_time: TimeText | None = None
    observed_at: TimeText
    expected: Expectation | None = None
    capturing: Money | None = None
    customer_amount: Money | None = None
    chargeback: Chargeback | None = None
    follow: FollowUp | None = None
    secured: bool = False
    returnable: bool = False
    order_role: OrderRole = "whole"
    correction: Correction | None = None
    moneyless: bool = False
