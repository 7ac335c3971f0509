"""Interprets OmniKassa's order results: what a page says about each payment, once its signature is verified.

Sources: the bank's API manual 1.7 and SDK manual 1.20. Statuses, currencies and codes are taken as they come: an
unknown one must neither lose the page nor be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from processors.providers.base import ProviderResponse
from processors.providers.json_body import json_object
from processors.providers.omnikassa.contract import NAME, OmniKassaMerchant
from processors.providers.omnikassa.signature import plain_integer
from schemas.errors import UnreadableError
from schemas.messages import Observation
from schemas.money import Money, from_minor
from schemas.status import Status
from schemas.times import rfc3339

STATUSES: Final[Mapping[str, Status]] = {
    "IN_PROGRESS": "pending",
    "COMPLETED": "captured",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
    "FAILURE": "failed",
}

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)\Z"
)
#: The bank's ids are UUIDs, the SDKs' signed fixtures also have short ones. A comma would mean that the text was
#: re-split between two fields, which keeps the signature valid.
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,36}\Z")
_CODE: Final = re.compile(r"[A-Z_]{1,40}\Z")
_ERROR_CODE: Final = re.compile(r"[0-9A-Za-z_.-]{1,40}\Z")


def instant(text: str) -> datetime | None:
    """An ISO 8601 point in time as the bank writes them; None where the text is not one.

    One to nine fraction digits or none, the offset with or without colon.
    """
    if not _INSTANT.match(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def page_of(body: bytes) -> Mapping[str, Any]:
    """The page in a stored response.

    Raises:
        UnreadableError: the body is no JSON object, or an error of the bank.
    """
    page = json_object(body, lambda problem: UnreadableError(f"the page {problem}"))
    if page.get("errorCode") is not None:
        raise UnreadableError("an error of the bank, not a page of results")
    return page


def observation(order: Mapping[str, Any], merchant: OmniKassaMerchant, response: ProviderResponse) -> Observation:
    """What an order of a verified page says about its payment.

    Raises:
        UnreadableError: the order's id is not of the bank's form, or the order is another webshop's.
    """
    order_id = order.get("omnikassaOrderId")
    if not isinstance(order_id, str) or not _ORDER_ID.match(order_id):
        raise UnreadableError("omnikassaOrderId is not an id of the bank, so the fields may have been re-split")
    if plain_integer(order.get("poiId")) != str(merchant.poi_id):
        raise UnreadableError("poiId is another webshop's than the configured poi_id")
    code = order.get("orderStatus")
    status = STATUSES.get(code, "unknown") if isinstance(code, str) else "unknown"
    codes = {"orderStatus": _safe(code, _CODE), "errorCode": _safe(order.get("errorCode"), _ERROR_CODE)}
    moment = instant(str(order.get("orderStatusDateTime")))
    merchant_order_id = order.get("merchantOrderId")
    return Observation(
        provider=NAME,
        merchant=merchant.id,
        payment_id=order_id,
        order_id=str(merchant_order_id) if merchant_order_id not in (None, "") else None,
        status=status,
        amount=money(order.get("totalAmount")),
        paid=money(order.get("paidAmount")) if status == "captured" else None,
        provider_status={name: text for name, text in codes.items() if text},
        source="ORDER_RESULTS",
        provider_time=rfc3339(moment) if moment else None,
        observed_at=rfc3339(response.received_at),
    )


def _safe(value: object, form: re.Pattern[str]) -> str:
    """A code of the bank that may be published; free text may not."""
    text = str(value) if isinstance(value, str | int) else ""
    return text if form.match(text) else ""


def money(value: object) -> Money | None:
    """An amount of the bank's, or None where it can't be read: one odd amount must not lose the page's other orders."""
    if not isinstance(value, dict):
        return None
    try:
        return from_minor(plain_integer(value.get("amount")), value.get("currency"))
    except UnreadableError:
        return None
