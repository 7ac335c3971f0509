"""Orders: what shops expect, and the reports about late orders and silent providers."""

from __future__ import annotations

from typing import Literal

import msgspec

from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import TimeText


class ExpectedPayment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a shop sold and expects to be paid (written by shops to ``payments.expected``).

    ``payment_id`` is the provider's id if the shop has it already. After ``final_by`` the payment is overdue; without
    it the payment never is. ``several``: more than one payment may pay for the order in full, as through a payment link
    for many customers. Times are RFC 3339 with offset.
    """

    merchant: str
    order_id: str
    amount: Money
    created_at: TimeText
    payment_id: str | None = None
    final_by: TimeText | None = None
    several: bool = False


class OverduePayment(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An order that is not paid, declined or otherwise final in time: raised, and cleared when it is.

    An order whose payment is authorised is not overdue before its settlement is late: it is cleared if it was, and may
    be raised again. ``status`` is that of its newest payment, None if no provider has reported any. ``at`` is when the
    payment was to be final (raised) or the order became overdue again, or when what clears it was observed (cleared).
    ``reason``, absent otherwise, is ``settlement`` if the payment is authorised and its settlement is late, so that
    only the bank's money is missing.
    """

    event_id: str
    state: Literal["raised", "cleared"]
    provider: str
    merchant: str
    order_id: str
    payment_id: str | None
    status: Status | None
    amount: Money
    created_at: TimeText
    final_by: TimeText
    at: TimeText
    reason: Literal["settlement"] | None = None


class HeardOf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Whether a provider reported an expected order in time: one record for each order, keyed by provider.

    ``sold_at`` is when the shop sold it, by the shop's clock.
    """

    provider: str
    merchant: str
    order_id: str
    heard: bool
    at: TimeText
    sold_at: TimeText


class ProviderSilent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A provider that reports none of the orders expected from it (``silent``), or reports again (``heard``).

    ``merchant`` is set if it reports other merchants' orders and none of this one's. ``unheard`` is how many orders
    in a row it has not reported since ``since``. ``urgent`` means so many within a few hours that a person should be
    paged.
    """

    event_id: str
    state: Literal["silent", "heard"]
    provider: str
    unheard: int
    since: TimeText
    at: TimeText
    urgent: bool
    merchant: str | None = None
