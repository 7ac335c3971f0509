"""OmniKassa's signatures: what is signed, in which form, and whether one of the merchant's keys made a signature.

Sources: the bank's API manual 1.7 (chapters 4 to 6) and the official SDKs for Java and PHP. All signatures are
``lowercase_hex(HMAC_SHA512(base64_decode(signing_key), utf8(",".join(fields))))``. Fields are the decoded values
exactly as received; only numbers are brought to plain decimal, because the bank sends them now as text, now as number.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.omnikassa.contract import OmniKassaMerchant
from paynotify.processors.providers.rabobank.values import objects, plain_integer
from paynotify.schemas.errors import SecretError, UnreadableError


def signed(text: str, signature: str, account: Account[OmniKassaMerchant]) -> bool:
    """Whether one of the merchant's active signing keys made ``signature`` over ``text``.

    Raises:
        SecretError: no key can be read, or no key is base64.
    """
    # a lone surrogate is a question mark in the bytes that the bank's Java signs; in a signature it must match nothing
    message, given = text.encode("utf-8", "replace"), signature.encode("utf-8", "surrogatepass")
    keys = [key for secret in account.reveal_all(account.merchant.signing_keys) if (key := _key(secret)) is not None]
    if not keys:
        raise SecretError(
            f"No signing key of merchant {account.merchant.id} is base64. Copy it again from the bank's dashboard."
        )
    return any(hmac.compare_digest(hmac.digest(key, message, "sha512").hex().encode(), given) for key in keys)


@lru_cache(maxsize=256)
def _key(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.strip(), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def results_text(page: Mapping[str, Any], version: int) -> str:
    """What is signed of a page of order results; ``version`` 2 adds each order's transactions.

    A page without orders is the bare word ``false`` or ``true``, with no comma. A value that is not of its documented
    form is taken as it is: whether that is what the bank signed, the signature tells, and one odd value must not make
    the page's other orders unverifiable.

    Raises:
        UnreadableError: it is no page.
    """
    more = page.get("moreOrderResultsAvailable")
    if not isinstance(more, bool):
        raise UnreadableError("moreOrderResultsAvailable is not a JSON boolean")
    parts = ["true" if more else "false"]
    for order in elements(page, "orderResults"):
        if isinstance(order, dict):
            parts += _order_texts(order, version)
    return ",".join(parts)


def elements(page: Mapping[str, Any], name: str) -> list[Any]:
    """The list under ``name``, whatever its elements are; null or absent is an empty list.

    Raises:
        UnreadableError: the value is not a list.
    """
    value = page.get(name)
    if value is not None and not isinstance(value, list):
        raise UnreadableError(f"{name} is not a list")
    return value or []


def _order_texts(order: Mapping[str, Any], version: int) -> list[str]:
    value = order.get
    parts = [
        _text(value("merchantOrderId")),
        _text(value("omnikassaOrderId")),
        _integer(value("poiId")),
        _text(value("orderStatus")),
        _text(value("orderStatusDateTime")),
        _text(value("errorCode")),
        *_money(value("paidAmount")),
        *_money(value("totalAmount")),
    ]
    if version == 2:
        for transaction in objects(order, "transactions"):
            parts += _transaction_texts(transaction)
    return parts


def _transaction_texts(transaction: Mapping[str, Any]) -> list[str]:
    value = transaction.get
    return [
        _text(value("id")),
        _text(value("paymentBrand")),
        _text(value("type")),
        _text(value("status")),
        *_money(value("amount")),
        # a confirmedAmount of null is two empty fields, not none: only so do the bank's own pages verify
        *_money(value("confirmedAmount")),
        _text(value("startTime")),
        _text(value("lastUpdateTime")),
    ]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def _integer(value: object) -> str:
    text = plain_integer(value)
    return _text(value) if text is None else text


def _money(value: object) -> tuple[str, str]:
    """Currency, then amount in minor units, whatever their order in the JSON."""
    if not isinstance(value, dict):
        return "", ""
    return _text(value.get("currency")), _integer(value.get("amount"))
