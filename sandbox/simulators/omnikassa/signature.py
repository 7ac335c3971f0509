"""The bank's signatures, written from its manual and independent of the product's."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any


def sign(key: str, fields: Iterable[object]) -> str:
    """The bank's signature: HMAC-SHA512 over the fields, joined by commas; null is empty.

    What is no Unicode becomes a question mark, as in Java.
    """
    text = ",".join("" if one is None else str(one) for one in fields)
    return hmac.new(base64.b64decode(key), text.encode("utf-8", "replace"), hashlib.sha512).hexdigest()


def signed_fields(page: dict[str, Any]) -> list[object]:
    """The values of a page of results in the order in which they are signed."""
    fields: list[object] = ["true" if page["moreOrderResultsAvailable"] else "false"]
    for order in page["orderResults"]:
        names = (
            "merchantOrderId",
            "omnikassaOrderId",
            "poiId",
            "orderStatus",
            "orderStatusDateTime",
            "errorCode",
        )
        fields += [order[name] for name in names]
        fields += [*_money(order["paidAmount"]), *_money(order["totalAmount"])]
        for one in order.get("transactions", ()):
            fields += [one[name] for name in ("id", "paymentBrand", "type", "status")]
            fields += [*_money(one["amount"]), *_money(one["confirmedAmount"])]
            fields += [one["startTime"], one["lastUpdateTime"]]
    return fields


def _money(amount: dict[str, str] | None) -> tuple[str | None, str | None]:
    return (amount["currency"], amount["amount"]) if amount else (None, None)
