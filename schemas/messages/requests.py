"""Requests of the shops to charge, capture or release, and their progress."""

from __future__ import annotations

from typing import Literal

import msgspec

from paynotify.schemas.money import Money
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.status import Status
from paynotify.schemas.times import TimeText

Action = Literal["charge", "capture", "release"]


class RequestedPayment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    expires_at: TimeText | None = None


class PaymentRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    at: TimeText
