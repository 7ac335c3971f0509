"""The records of a TRANSACTIONQUERY response: which they are, and what each says about a payment.

The response's own errorcode is about the query; only a record's errorcode and settlestatus describe a payment. All
scalars are strings, absent rather than null, and a response that found nothing is a success without records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from processors.providers.base import Interpretation, ProviderResponse
from processors.providers.trustpayments.codes import (
    REFUND_SETTLED,
    SETTLE_STATUSES,
    WITHOUT_DECIMALS,
    payment_status,
    uncertain,
)
from processors.providers.trustpayments.contract import NAME, TrustPaymentsMerchant
from schemas.errors import UnreadableError
from schemas.ids import MAX_ID_LENGTH
from schemas.messages import Observation, Refund
from schemas.money import Money, from_minor
from schemas.times import rfc3339

TransactionRecord = Mapping[str, Any]

_REFERENCE: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}-[0-9]{1,20}\Z")
_CODE: Final = re.compile(r"[0-9]{1,9}\Z")


def is_reference(text: str) -> bool:
    """Whether the text has the form of a transaction reference: three numbers joined by hyphens."""
    return bool(_REFERENCE.match(text))


def is_order_reference(text: str) -> bool:
    """Whether an order can be looked up by this text."""
    return 0 < len(text) <= MAX_ID_LENGTH and "\0" not in text


def word(record: TransactionRecord, name: str) -> str:
    """A field's text, empty where it is absent or no scalar."""
    value = record.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def query_of(body: Mapping[str, Any]) -> TransactionRecord | None:
    """The part of a response that is about its one query; None where it has no such part."""
    items = body.get("response")
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else None


def records_of(query: TransactionRecord, site_reference: str) -> list[TransactionRecord]:
    """The site's own records. Another site's records are not this merchant's."""
    records = query.get("records")
    own = [one for one in records if isinstance(one, dict)] if isinstance(records, list) else []
    return [one for one in own if word(one, "sitereference") in ("", site_reference)]


def interpreted(
    query: TransactionRecord, merchant: TrustPaymentsMerchant, response: ProviderResponse
) -> Interpretation:
    """What the records say: payments, refunds and chargebacks. All other request types are no payment states.

    Where a refund's or chargeback's amount, state or payment can't be read, its payment is left out as a whole, because
    without the refund it would look like money that is still there.
    """
    # the query's own time: between suspended and authorised, which may go both ways, the newest query wins
    asked = gateway_time(word(query, "transactionstartedtimestamp"))
    asked_at = rfc3339(asked) if asked is not None else None
    found = []
    unreadable = set()
    for record in records_of(query, merchant.site_reference):
        read = _READERS.get(word(record, "requesttypedescription"))
        try:
            observed = read(record) if read else None
        except UnreadableError:
            unreadable.add(word(record, "parenttransactionreference"))
            continue
        if observed is not None and is_reference(observed["payment_id"]):
            found.append(
                Observation(
                    provider=NAME,
                    merchant=merchant.id,
                    order_id=word(record, "orderreference") or None,
                    source="TRANSACTIONQUERY",
                    provider_status=_codes(record),
                    provider_time=asked_at,
                    observed_at=rfc3339(response.received_at),
                    **observed,
                )
            )
    if unreadable:
        rest = tuple(one for one in found if one.payment_id not in unreadable)
        detail = f"refunds or chargebacks of {len(unreadable)} payments can't be read"
        return Interpretation(rest, "unreadable_answer", detail)
    return Interpretation(tuple(found))


def _payment(record: TransactionRecord) -> dict[str, Any]:
    errorcode = word(record, "errorcode")
    status = payment_status(errorcode, word(record, "settlestatus"), word(record, "paymenttypedescription"))
    amount = _money(record, "baseamount")
    return {
        "payment_id": word(record, "transactionreference"),
        "status": status,
        "amount": amount,
        "paid": (_money(record, "settlebaseamount") or amount) if status == "captured" else None,
        "reason": errorcode if errorcode != "0" and _CODE.match(errorcode) else None,
    }


def _refund(record: TransactionRecord) -> dict[str, Any] | None:
    settled = _settled(record)
    if settled is None:
        return None
    amount = (_money(record, "settlebaseamount") if settled else None) or _money(record, "baseamount")
    if amount is None:
        raise UnreadableError("a refund's amount can't be read")
    return {
        "payment_id": _parent(record),
        "status": None,
        "refund": Refund(refund_id=word(record, "transactionreference"), amount=amount, settled=settled),
    }


def _chargeback(record: TransactionRecord) -> dict[str, Any] | None:
    return {"payment_id": _parent(record), "status": "charged_back"} if _errorcode(record) == "0" else None


def _settled(record: TransactionRecord) -> bool | None:
    """Whether a refund's money has gone; None where it never will.

    Raises:
        UnreadableError: the record does not say whether the refund is settled.
    """
    errorcode, settlestatus = _errorcode(record), word(record, "settlestatus")
    if uncertain(errorcode):
        return False  # the gateway doesn't know itself; it is looked up again
    if errorcode != "0":
        return None
    if settlestatus not in SETTLE_STATUSES:
        raise UnreadableError("a refund's settlestatus is not a known one")
    return REFUND_SETTLED.get(settlestatus)


def _errorcode(record: TransactionRecord) -> str:
    errorcode = word(record, "errorcode")
    if not errorcode:
        raise UnreadableError("a refund or chargeback does not say whether it was made")
    return errorcode


def _parent(record: TransactionRecord) -> str:
    parent = word(record, "parenttransactionreference")
    if not is_reference(parent):
        raise UnreadableError("a refund or chargeback names no payment")
    return parent


_READERS: Final = {"AUTH": _payment, "REFUND": _refund, "CHARGEBACK": _chargeback}


def _money(record: TransactionRecord, name: str) -> Money | None:
    """The amount, or None where it can't be read: one odd record must not lose the other payments of the response."""
    try:
        money = from_minor(record.get(name), record.get("currencyiso3a"))
    except UnreadableError:
        return None
    return replace(money, value=money.value * WITHOUT_DECIMALS.get(money.currency, 1)) if money else None


def _codes(record: TransactionRecord) -> dict[str, str]:
    codes = {name: word(record, name) for name in ("errorcode", "settlestatus")}
    return {name: code for name, code in codes.items() if _CODE.match(code)}


def gateway_time(text: str) -> datetime | None:
    """The gateway's ``YYYY-MM-DD HH:MM:SS``, which is GMT; None where the text is no such time."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
