"""Validates a request before anything is started: its fields, its amount, and the payment it names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from paynotify.schemas.configuration.merchants import ChargeLimits
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import Money, is_currency
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.status import Status
from paynotify.schemas.times import parse_time

#: How many days of charges count against the limit of one initial payment.
REFERENCE_DAYS: Final = 30

#: Statuses of an initial payment that allow later charges. A cancelled one may be an authorisation that was voided
#: after the registration, as is usual; the provider knows whether it is usable.
_GOOD_REFERENCE: Final[frozenset[Status]] = frozenset(
    {"authorised", "captured", "partially_refunded", "refunded", "cancelled"}
)


class KnownPayment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one payment of the merchant.

    ``charged_by`` is the id of the request that created it, ``closed_by`` of the one that captures or voids it;
    ``as_of`` is the time of the newest report of its status.
    """

    status: Status | None = None
    as_of: str = ""
    amount: Money | None = None
    order_id: str | None = None
    charged_by: str | None = None
    closed_by: str | None = None


def well_formed(asked: RequestedPayment) -> bool:
    """Whether the request has the fields that its action needs, no others, and each within its limits."""
    ids = (asked.request_id, asked.order_id, asked.payment_id, asked.reference_payment_id, asked.user_id)
    if not all(one is None or _is_id(one) for one in ids):
        return False
    if asked.amount is not None and (asked.amount.value <= 0 or not is_currency(asked.amount.currency)):
        return False
    if asked.expires_at is not None and parse_time(asked.expires_at) is None:
        return False
    if asked.action == "charge":
        needed = (asked.order_id, asked.amount, asked.reference_payment_id)
        return None not in needed and asked.payment_id is None
    only_for_charges = (asked.reference_payment_id, asked.user_id)
    released_in_part = asked.action == "release" and asked.amount is not None
    return asked.payment_id is not None and only_for_charges == (None, None) and not released_in_part


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable()


def reference_problem(amount: Money, reference: KnownPayment) -> RequestReason | None:
    """Why the payment cannot be the initial payment of a charge, if it cannot."""
    if reference.status not in _GOOD_REFERENCE or reference.amount is None:
        return "reference_not_usable"
    return None if reference.amount.currency == amount.currency else "wrong_currency"


def closing_problem(amount: Money | None, payment: KnownPayment) -> RequestReason | None:
    """Why the payment cannot be captured or voided, if it cannot."""
    if payment.status != "authorised":
        return "not_authorised"
    if amount is None:
        return None
    if payment.amount is None:
        return "not_authorised"
    if amount.currency != payment.amount.currency:
        return "wrong_currency"
    return "over_authorised" if amount.value > payment.amount.value else None


def over_limit(
    amount: Money, limits: Mapping[str, ChargeLimits], on_reference: Mapping[str, int], on_day: int
) -> RequestReason | None:
    """Which of the merchant's limits the charge would exceed; ``on_reference`` is by day, within 30 days."""
    limit = limits.get(amount.currency)
    if limit is None:
        return "no_limit"
    if amount.value > limit.per_charge:
        return "over_charge_limit"
    if sum(on_reference.values()) + amount.value > limit.per_reference:
        return "over_reference_limit"
    return "over_day_limit" if on_day + amount.value > limit.per_day else None


def within(by_day: Mapping[str, int], day: str) -> dict[str, int]:
    """The sums that still count on that day: those of the day, of the 29 days before it, and of later days."""
    first = (date.fromisoformat(day) - timedelta(days=REFERENCE_DAYS - 1)).isoformat()
    return {one: value for one, value in by_day.items() if one >= first}
