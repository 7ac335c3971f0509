"""The event in a notification's body: what is read of it, and what its words mean.

Sources: the bank's developer pages on webhooks v3. New members may appear at any time and are ignored. The body is what
is signed, so its id and type count, not those of the headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from paynotify.processors.providers.json_body import json_object
from paynotify.processors.providers.rabobank.single_order import is_order_id
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.money import Money, from_minor
from paynotify.schemas.reasons import AlertKind
from paynotify.schemas.status import Status

#: Types that name an order with its final status. The second is the same under another of the bank's names for it.
ORDER_TYPES: Final = frozenset({"order.status.finalized/v1", "order.finalized/v1"})
TEST_TYPE: Final = "test/v1"

#: The bank prints only the first word, the others follow from its older API. Case does not count.
STATUSES: Final[Mapping[str, Status]] = {"completed": "captured", "cancelled": "cancelled", "expired": "expired"}

#: An event names no currency; the bank's own libraries know one only.
CURRENCY: Final = "EUR"

_WORD: Final = re.compile(r"[A-Za-z_]{1,40}\Z")
_DIGITS: Final = re.compile(r"[0-9]{1,15}\Z")
_MAX_TEXT: Final = 128
_MAX_SECONDS: Final = 2**33


@dataclass(frozen=True, slots=True)
class Claim:
    """What an order's event says of it: the bank's word for its status, and the amounts in minor units."""

    status: str
    total: str
    paid: str

    def as_status(self) -> Status:
        """The status; unknown where the word is not known, or the amounts contradict it or are missing."""
        status = STATUSES.get(self.status.lower(), "unknown")
        if status == "captured":
            return status if self.paid == self.total and self.paid not in ("", "0") else "unknown"
        return status if self.paid in ("", "0") else "unknown"

    def amount(self, name: str) -> Money | None:
        """``total`` or ``paid``; None where it is no number."""
        try:
            return from_minor(getattr(self, name), CURRENCY)
        except UnreadableError:
            return None


@dataclass(frozen=True, slots=True)
class Event:
    """An event. ``order_id`` and ``claim`` are None for a type that is about no order."""

    event_id: str
    kind: str
    subscription_id: str
    told_at: datetime | None
    order_id: str | None = None
    claim: Claim | None = None

    @property
    def ignored_as(self) -> AlertKind | None:
        """Why it causes no lookup; None where it does."""
        if self.kind in ORDER_TYPES:
            return None
        return "test_event" if self.kind == TEST_TYPE else "unsupported_type"


def event_in(body: bytes) -> Event:
    """The event in the body.

    Raises:
        RejectedNotificationError: the body is none, or names no order where its type is about one.
    """
    document = json_object(body, lambda problem: RejectedNotificationError("malformed", f"the body {problem}"))
    event_id, kind = _required(document, "id"), _required(document, "type")
    subscription = document.get("subscription")
    order_id, claim = _order(document.get("data")) if kind in ORDER_TYPES else (None, None)
    return Event(
        event_id,
        kind,
        _text(subscription.get("id")) if isinstance(subscription, dict) else "",
        _moment(document.get("timestamp")),
        order_id,
        claim,
    )


def _order(data: object) -> tuple[str, Claim]:
    """The order's id, and what the event says of it."""
    order_id = _text(data.get("orderId")).lower() if isinstance(data, dict) else ""
    if not isinstance(data, dict) or not is_order_id(order_id):
        raise RejectedNotificationError("malformed", "data.orderId is not the id of an order")
    return order_id, _claim(data)


def _claim(data: Mapping[str, Any]) -> Claim:
    """What may be published of the data: no metadata, which is the shop's own and may be personal."""
    status, amount = _text(data.get("status")), data.get("amount")
    amounts = amount if isinstance(amount, dict) else {}
    return Claim(status if _WORD.match(status) else "", _number(amounts.get("total")), _number(amounts.get("paid")))


def _required(document: Mapping[str, Any], name: str) -> str:
    value = _text(document.get(name))
    if not value:
        raise RejectedNotificationError("malformed", f"{name} is not a text of at most {_MAX_TEXT} characters")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT else ""


def _number(value: object) -> str:
    """An amount in minor units as plain digits; one page of the bank's writes them as text."""
    text = "" if isinstance(value, bool) or not isinstance(value, int | str) else str(value)
    return str(int(text)) if _DIGITS.match(text) else ""


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MAX_SECONDS:
        return None
    return datetime.fromtimestamp(value, UTC)
