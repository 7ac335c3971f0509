"""The result: the events of a payment's status, and how they reach the other stages."""

from __future__ import annotations

import msgspec

from paynotify.schemas.messages.observations import Correction, Expectation, OrderRole
from paynotify.schemas.money import Money
from paynotify.schemas.status import AmountCheck, Fulfilment, OrderCheck, Status
from paynotify.schemas.times import TimeText


class Checks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the payment compares with the shop's expectation."""

    amount: AmountCheck
    order: OrderCheck


class PaymentStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One event of the result topic: the newest state of one payment, and whether its goods may be released.

    ``sequence`` counts a payment's events from 1 without gaps; ``event_id`` is derived from the rest of the
    content, so a repeat is byte-identical. Amounts are integers in the currency's minor unit.

    ``refunded`` is what went back to the customer, ``refunding`` what is under way and not settled. ``charged_back`` is
    what chargebacks took. ``customer_amount`` is the amount in the customer's currency, where that is another than the
    merchant's. ``settles_by`` is when an authorised payment is to be captured. ``correction`` says who corrected the
    status and why, while that status stands. ``order_role`` is what the payment is to its order, if not all of it.
    These fields, which later releases added, are absent where they do not apply.
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
    provider_time: TimeText | None
    observed_at: TimeText
    refunding: Money | None = None
    charged_back: Money | None = None
    customer_amount: Money | None = None
    settles_by: TimeText | None = None
    correction: Correction | None = None
    order_role: OrderRole = "whole"


class PaymentSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The newest state of one payment, published for the stages that are keyed by order or by merchant.

    ``expected`` is what it was compared with, so that a stage with a newer expectation can correct it. ``sequence`` is
    that of the payment's event, so that an older record read again is recognised; 0 in records of earlier releases.
    ``settles_by`` is when an authorised payment is to be captured. ``paid`` is what was captured. ``corrected``: the
    status is an operator's.
    """

    provider: str
    merchant: str
    payment_id: str
    order_id: str | None
    status: Status
    final: bool
    amount: Money | None
    observed_at: TimeText
    expected: Expectation | None = None
    sequence: int = 0
    paid: Money | None = None
    settles_by: TimeText | None = None
    order_role: OrderRole = "whole"
    corrected: bool = False


class TimeReached(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A timer of a stage is due. ``name`` is its purpose, ``lane`` its queue, ``due`` its time.

    Timers of a queue whose work is done for many at once come together: ``names`` are then theirs, ``due`` the first
    one's time, ``later_milliseconds`` how much later each of them was due, and ``name`` is empty.

    Time reaches a stage as a record of its own topic, so that a batch processed again after a crash has it at the same
    position.
    """

    name: str
    lane: str
    due: TimeText
    names: tuple[str, ...] = ()
    later_milliseconds: tuple[int, ...] = ()


class ForgetRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operator wants the newest event of a payment off ``payments.latest`` (on ``observations``).

    ``sequence`` is that of the payment's newest event when the operator asked. Events after it stay: the provider has
    reported the payment again.
    """

    provider: str
    merchant: str
    payment_id: str
    sequence: int
