"""Interprets OmniKassa's order results: what a page says about each payment, once its signature is verified.

Sources: the bank's API manual 1.7 and SDK manual 1.20. Statuses, currencies and codes are taken as they come: an
unknown one must neither lose the page nor be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Interpretation, OddElement, ProviderResponse
from paynotify.processors.providers.json_body import readings
from paynotify.processors.providers.omnikassa.contract import NAME, OmniKassaMerchant
from paynotify.processors.providers.omnikassa.signature import elements, results_text, signed
from paynotify.processors.providers.rabobank.values import STATUSES, instant, money, no_error, page_of, plain_integer
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import Observation
from paynotify.schemas.money import Money
from paynotify.schemas.text import is_text
from paynotify.schemas.times import rfc3339

#: The bank's ids are UUIDs, the SDKs' signed fixtures also have short ones. A comma would mean that the text was
#: re-split between two fields, which keeps the signature valid.
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,36}\Z")
_CODE: Final = re.compile(r"[A-Z_]{1,40}\Z")
_ERROR_CODE: Final = re.compile(r"[0-9A-Za-z_.-]{1,40}\Z")


def verified_page(response: ProviderResponse, account: Account[OmniKassaMerchant]) -> Mapping[str, Any]:
    """The page in a stored response, read in the way in which its signature is right.

    Raises:
        UnreadableError: the body is no page, or no active key made its signature.
    """
    version = response.facts.get("results-version", str(account.merchant.results_version))
    for page in readings(response.body):
        text = results_text(no_error(page), 2 if version == "2" else 1)
        signature = page.get("signature")
        if isinstance(signature, str) and signed(text, signature, account):
            return page
    page_of(response.body)  # says what is wrong with a body that holds no page at all
    raise UnreadableError("no active signing key made the page's signature", "unverified_answer")


def interpreted(page: Mapping[str, Any], merchant: OmniKassaMerchant, response: ProviderResponse) -> Interpretation:
    """What a verified page says, order by order. An order that can't be read costs no other one."""
    observed_at = rfc3339(response.received_at)
    observations: list[Observation] = []
    odd: list[OddElement] = []
    for number, order in enumerate(elements(page, "orderResults")):
        try:
            observations.append(observation(order, merchant, observed_at))
        except UnreadableError as error:
            odd.append(OddElement(f"orderResults/{number}", error.reason, str(error)))
    return Interpretation(tuple(observations), odd=tuple(odd))


def observation(order: object, merchant: OmniKassaMerchant, observed_at: str) -> Observation:
    """What an order of a verified page says about its payment.

    Raises:
        UnreadableError: the order's id, number or amount is not of the bank's form, or the order is another webshop's.
    """
    if not isinstance(order, dict):
        raise UnreadableError("the order is no object")
    order_id = order.get("omnikassaOrderId")
    if not isinstance(order_id, str) or not _ORDER_ID.match(order_id):
        raise UnreadableError("omnikassaOrderId is not an id of the bank, so the fields may have been re-split")
    if plain_integer(order.get("poiId")) != str(merchant.poi_id):
        raise UnreadableError("poiId is another webshop's than the configured poi_id", "unknown_merchant")
    code = order.get("orderStatus")
    status = STATUSES.get(code, "unknown") if isinstance(code, str) else "unknown"
    codes = {"orderStatus": _safe(code, _CODE), "errorCode": _safe(order.get("errorCode"), _ERROR_CODE)}
    moment = instant(str(order.get("orderStatusDateTime")))
    return Observation(
        provider=NAME,
        merchant=merchant.id,
        payment_id=order_id,
        order_id=_merchant_order_id(order),
        status=status,
        amount=_required_money(order, "totalAmount"),
        paid=_required_money(order, "paidAmount") if status == "captured" else None,
        provider_status={name: text for name, text in codes.items() if text},
        source="ORDER_RESULTS",
        provider_time=rfc3339(moment) if moment else None,
        observed_at=observed_at,
    )


def _merchant_order_id(order: Mapping[str, Any]) -> str | None:
    """The shop's number of the order, which may be any text that can be published."""
    value = order.get("merchantOrderId")
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnreadableError("merchantOrderId is not text")
    text = str(value)
    if len(text) > MAX_ID_LENGTH:
        raise UnreadableError("merchantOrderId is longer than an order's id may be")
    if not is_text(text):
        raise UnreadableError("merchantOrderId holds what is no Unicode text")
    return text


def _required_money(order: Mapping[str, Any], name: str) -> Money:
    amount = money(order.get(name))
    if amount is None:
        raise UnreadableError(f"{name} is not an amount")
    return amount


def _safe(value: object, form: re.Pattern[str]) -> str:
    """A code of the bank that may be published; free text may not."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    return text if form.match(text) else ""
