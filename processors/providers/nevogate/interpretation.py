"""Interprets Nevogate's responses: Result, StartRP, Details, and the product's own Close.

SUCCESSFUL alone is no money: the verification of a card ends SUCCESSFUL too, with an amount of 0 or none. And older
Results have no amount for real payments either, so that only Details can tell the two apart.

Sources: the vendor's pages on Result, StartRP, Close, Details and the card verification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from paynotify.processors.providers.base import ProviderResponse
from paynotify.processors.providers.json_body import readable_object
from paynotify.processors.providers.nevogate.amount import Amount, amount_of
from paynotify.processors.providers.nevogate.contract import NAME, NevogateMerchant
from paynotify.processors.providers.nevogate.hold import hold_follow_up
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import AMOUNT_MISSING, Observation
from paynotify.schemas.money import from_minor
from paynotify.schemas.status import Status
from paynotify.schemas.text import is_text
from paynotify.schemas.times import parse_time, rfc3339

#: ResultCodes that describe the payment; SUCCESSFUL depends on `TWO_STEP` too. All others describe the request.
STATUSES: Final[Mapping[str, Status | None]] = {
    "SUCCESSFUL": None,
    "PENDING": "pending",
    "OPEN": "pending",
    "CANCELED": "cancelled",
    "TIMEOUT": "expired",
    "ERROR": "failed",
}

#: ``(AutoCommit, CommitState)`` of a two-step payment. DECLINED is the only known value for a voided authorisation,
#: though no vendor page shows it; any other value is left unknown rather than taken for a void.
TWO_STEP: Final[Mapping[tuple[str, str], Status]] = {
    ("false", "PENDING"): "authorised",
    ("false", "DECLINED"): "cancelled",
}

#: Why a payment that is SUCCESSFUL is held, unless its amount is missing: nothing was to be paid.
VERIFICATION: Final = "verification"

_DETAILS_METHOD: Final = "Details"
_TRANSACTION: Final = re.compile(r"[0-9a-f]{32}\Z")
_CODE: Final = re.compile(r"[A-Za-z_]{1,40}\Z")
#: Tables call AutoCommit a boolean, samples show it as text.
_TRUTHS: Final = {"true": "true", "1": "true", "false": "false", "0": "false"}
#: The fact of a stored response with the time of its call; responses of earlier releases have none.
ASKED_AT: Final = "asked-at"
_MAX_CALL: Final = timedelta(minutes=5)


def is_transaction(text: str) -> bool:
    """Whether the text has the form of a transaction's id: 32 lower-case hex digits."""
    return bool(_TRANSACTION.match(text))


def interpreted(response: ProviderResponse, merchant: NevogateMerchant) -> Observation | None:
    """The state of the response's transaction; a Details response holds the same data as ``CommonData``.

    The response to a Close says only that it was done; the response's facts say what was requested. None for a success
    without an amount that Details are to explain (`needs_details`).

    Raises:
        UnreadableError: the response is an error, or about another transaction, or about none.
    """
    body = readable_object(response.body, lambda problem: UnreadableError(f"the response {problem}"))
    method = _method(response, body)
    if method == "Close":
        return _closed(body, response, merchant)
    common = common_data(body)
    if _code(common.get("ResultCode")) not in STATUSES:
        raise UnreadableError("the ResultCode describes the request, not a payment")
    transaction = common.get("TransactionId")
    if not isinstance(transaction, str) or not is_transaction(transaction):
        raise UnreadableError("the response names no transaction")
    if response.reference not in (None, transaction):
        raise UnreadableError("the response is about another transaction than the one asked for")
    codes, amount = _codes(common), amount_of(common)
    if method != _DETAILS_METHOD and merchant.recover_by_details and _unexplained(codes, amount):
        return None
    return _observation(common, codes, amount, transaction, response, merchant, method)


def needs_details(data: Mapping[str, Any], merchant: NevogateMerchant) -> bool:
    """Whether a Result is a success without an amount, and the merchant lets its Details be read."""
    return merchant.recover_by_details and _unexplained(_codes(data), amount_of(data))


def _unexplained(codes: Mapping[str, str], amount: Amount) -> bool:
    return amount.kind == "absent" and _status(codes) in _WITH_MONEY


def common_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The transaction's data: a Details response has it as ``CommonData``, and its errors beside it."""
    common = body.get("CommonData")
    if common is None:
        return body
    return common if isinstance(common, dict) else {}


def _method(response: ProviderResponse, body: Mapping[str, Any]) -> str:
    """The method that was called; responses to lookups don't say it, but only Details have their data as a member."""
    return response.facts.get("method") or (_DETAILS_METHOD if "CommonData" in body else "Result")


def _observation(
    data: Mapping[str, Any],
    codes: Mapping[str, str],
    amount: Amount,
    transaction: str,
    response: ProviderResponse,
    merchant: NevogateMerchant,
    method: str,
) -> Observation:
    status = _status(codes)
    reason = _without_money(status, amount, method)
    status = "unknown" if reason else status
    secured = status == "authorised" and amount.money is not None
    followed = status == "authorised"
    return Observation(
        provider=NAME,
        merchant=merchant.id,
        payment_id=transaction,
        order_id=_order_id(data),
        status=status,
        amount=amount.money,
        paid=amount.money if status == "captured" else None,
        reason=reason,
        provider_status={name: text for name, text in codes.items() if text},
        source=method,
        # Created is when the transaction was made, in an unknown time zone: not the time of this state
        provider_time=None,
        # the time of the call: a slow response may be older than a quick one that overtook it, while the newest Result
        # was called after the last change
        observed_at=rfc3339(_asked_at(response)),
        follow=hold_follow_up(data, transaction, merchant, response.received_at, method) if followed else None,
        secured=secured,
        moneyless=reason == VERIFICATION or (status == "pending" and amount.kind == "zero"),
    )


def _order_id(data: Mapping[str, Any]) -> str | None:
    value = data.get("OrderId")
    if not isinstance(value, str | int) or value == "":
        return None
    text = str(value)
    if not is_text(text):
        raise UnreadableError("the OrderId holds what is no Unicode text")
    return text


def _codes(data: Mapping[str, Any]) -> dict[str, str]:
    codes = {name: _code(data.get(name)) for name in ("ResultCode", "CommitState")}
    commits = data.get("AutoCommit")
    # only these are converted to text: converting a deeply nested value would fail
    codes["AutoCommit"] = _TRUTHS.get(str(commits).lower(), "") if isinstance(commits, str | int) else ""
    return codes


def _without_money(status: Status, amount: Amount, method: str) -> str | None:
    """Why a success may not count as money; None where it may, or where it is none.

    An amount that can't be read is still an amount: the status stays, and the payment is held without it.
    """
    if status not in _WITH_MONEY:
        return None
    if amount.kind == "zero" or (amount.kind == "absent" and method == _DETAILS_METHOD):
        return VERIFICATION
    return AMOUNT_MISSING if amount.kind == "absent" else None


def _asked_at(response: ProviderResponse) -> datetime:
    """By the brokers' clock; the time of receipt where the worker's clock jumped during the call."""
    asked_at = parse_time(response.facts.get(ASKED_AT, ""))
    if asked_at is None or not timedelta(0) <= response.received_at - (asked_at + response.clock_offset) <= _MAX_CALL:
        return response.received_at
    return asked_at + response.clock_offset


def _closed(data: Mapping[str, Any], response: ProviderResponse, merchant: NevogateMerchant) -> Observation:
    """The state after the product's own Close: all of the authorisation is captured, a part of it, or none."""
    if data.get("ResultCode") != "SUCCESSFUL":
        raise UnreadableError("the authorisation was not closed")
    if response.reference is None or data.get("TransactionId", response.reference) != response.reference:
        raise UnreadableError("the response is about another transaction than the one closed")
    captured = response.facts.get("asked") == "capture"
    value, currency = response.facts.get("value"), response.facts.get("currency")
    return Observation(
        provider=NAME,
        merchant=merchant.id,
        payment_id=response.reference,
        order_id=None,
        status="captured" if captured else "cancelled",
        paid=from_minor(value, currency) if captured and value is not None else None,
        provider_status={"ResultCode": "SUCCESSFUL"},
        source="Close",
        observed_at=rfc3339(response.received_at),
    )


#: What SUCCESSFUL means if there is an amount; only a voided authorisation is the same without one.
_WITH_MONEY: Final[frozenset[Status]] = frozenset({"captured", "authorised", "unknown"})


def _status(codes: Mapping[str, str]) -> Status:
    status = STATUSES[codes["ResultCode"]]
    if status is not None:
        return status
    if codes["AutoCommit"] == "true" or codes["CommitState"] == "APPROVED":
        return "captured"
    return TWO_STEP.get((codes["AutoCommit"], codes["CommitState"]), "unknown")


def _code(value: object) -> str:
    """A code of the gateway; anything that may be free text is left out."""
    return value if isinstance(value, str) and _CODE.match(value) else ""
