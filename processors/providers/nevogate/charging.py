"""Merchant-initiated charges at BIG FISH / Nevogate: InitRP, StartRP, Close, and Details for the payment's state.

Sources: the vendor's pages on the recurring two-step payment, InitRP, StartRP, Close and Details. The API has no
idempotency key, so StartRP and Close are never repeated unless the gateway certainly did nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.charging import (
    CaptureOrVoid,
    ChargeOpened,
    ChargeOrder,
    ChargeReport,
    MoneyOutcome,
    NotDone,
    OpenOutcome,
    ReadOutcome,
)
from paynotify.processors.providers.http import response_object
from paynotify.processors.providers.nevogate import client
from paynotify.processors.providers.nevogate.contract import NAME, NevogateMerchant
from paynotify.processors.providers.nevogate.interpretation import (
    ASKED_AT,
    STATUSES,
    common_data,
    interpreted,
    is_transaction,
)
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnreachableError,
    RetryableError,
    SecretError,
    UnreadableError,
)
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import to_major
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.times import rfc3339

#: What an error code means for a call that moves money: it certainly did nothing and never will (``fail``), it did
#: nothing and a person can fix the cause (``retry``), or it may be done already (``unknown``).
Decision = Literal["fail", "retry", "unknown"]

#: Every code of the vendor's tables. The vendor documents none as retryable: credentials and addresses are retried
#: because all of the merchant's requests fail alike until a person fixes them, and no money has moved.
CODES: Final[Mapping[str, tuple[RequestReason, Decision]]] = {
    "InactiveStore": ("inactive_store", "fail"),
    "InactiveProvider": ("inactive_provider", "fail"),
    "MissingParameter": ("parameters", "fail"),
    "MissingRemoteAddress": ("address", "retry"),
    "UnauthorizedAccess": ("credentials", "retry"),
    "UnauthorizedRemoteAddress": ("address", "retry"),
    "UnknownParameter": ("parameters", "fail"),
    "UnknownProvider": ("unknown_provider", "fail"),
    "UnknownProviderForStore": ("unknown_provider", "fail"),
    "UnknownReferenceTransaction": ("unknown_reference", "fail"),
    "UnknownStore": ("unknown_store", "fail"),
    "UnknownTransaction": ("unknown_payment", "fail"),
    "WrongApikey": ("credentials", "retry"),
    "WrongParameter": ("parameters", "fail"),
    "WrongProviderSettings": ("provider_settings", "fail"),
    "WrongReferenceTransactionStatus": ("reference_not_usable", "fail"),
    "WrongTransactionStatus": ("wrong_state", "unknown"),
}
#: A code of an acquirer behind the gateway: what a call that moves money left behind is not known.
OTHER_CODE: Final[tuple[RequestReason, Decision]] = ("provider_code", "unknown")

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{1,200}\Z")
_MAX_URL_CHARACTERS: Final = 255
_MODULE: Final = {"ModuleName": "paynotify", "ModuleVersion": "1"}


class NevogateChargeGateway:
    """Charges at ``nevogate``."""

    name = NAME
    unsigned = True
    payment_id_form = "32 lower-case hex digits"

    def is_payment_id(self, text: str) -> bool:
        """Whether the text has the form of a transaction's id."""
        return is_transaction(text)

    def problem(self, asked: RequestedPayment, account: Account[NevogateMerchant]) -> RequestReason | None:
        """Ids that the gateway would not accept, or a URL longer than InitRP accepts."""
        ids = (asked.reference_payment_id, asked.payment_id)
        if any(one is not None and not is_transaction(one) for one in ids):
            return "bad_request"
        # the limit of a user's id is not documented; it is that of the vendor's other parameters
        if len(asked.order_id or "") > MAX_ID_LENGTH or len(asked.user_id or "") > MAX_ID_LENGTH:
            return "bad_request"
        try:
            return "configuration" if asked.action == "charge" and _own_url(account) is None else None
        except SecretError:
            return None  # the token can't be read now; the call is delayed until it can

    async def init(self, order: ChargeOrder, account: Account[NevogateMerchant], context: CallContext) -> OpenOutcome:
        """InitRP: no money moves, so any failure may be retried."""
        try:
            url = _own_url(account)
        except SecretError:
            return RetryLater("configuration")
        if url is None:
            return Failed("configuration")
        arguments = {
            "StoreName": account.merchant.store_name,
            "ReferenceTransactionId": order.reference_payment_id,
            "ResponseUrl": url,
            "NotificationUrl": url,
            "Amount": to_major(order.amount),
            "Currency": order.amount.currency,
            "OrderId": order.order_id,
            **({"UserId": order.user_id} if order.user_id else {}),
            **_MODULE,
        }
        called = await _call("InitRP", arguments, account, context)
        if isinstance(called, Unknown):
            # a transaction it may have left is never started; only an acquirer's code is final
            return RetryLater("no_answer") if called.reason == "no_answer" else Failed(called.reason)
        if not isinstance(called, tuple):
            return called
        _, body = called
        transaction = body.get("TransactionId")
        if not isinstance(transaction, str) or not is_transaction(transaction):
            return RetryLater("no_answer")
        return ChargeOpened(transaction)

    async def start(self, payment_id: str, account: Account[NevogateMerchant], context: CallContext) -> MoneyOutcome:
        """StartRP: the response is the outcome, unless it does not say whether the money is only authorised."""
        called = await _call("StartRP", {"TransactionId": payment_id}, account, context)
        if not isinstance(called, tuple):
            return called
        return _report(called[0], payment_id, account, {"method": "StartRP"}) or Unknown("no_answer")

    async def close(
        self, closing: CaptureOrVoid, account: Account[NevogateMerchant], context: CallContext
    ) -> MoneyOutcome:
        """Close in one of its three forms. ApprovedAmount 0 would capture everything, so it is only sent for a part."""
        arguments: dict[str, Any] = {
            "TransactionId": closing.payment_id,
            "Approved": "true" if closing.capture else "false",
        }
        part = closing.amount if closing.capture and closing.amount != closing.authorised else None
        if part is not None:
            arguments["ApprovedAmount"] = to_major(part)
        called = await _call("Close", arguments, account, context)
        if not isinstance(called, tuple):
            return called
        facts = {"method": "Close", "asked": "capture" if closing.capture else "release"}
        if closing.capture and closing.amount is not None:
            facts |= {"value": str(closing.amount.value), "currency": closing.amount.currency}
        return _report(called[0], closing.payment_id, account, facts) or Unknown("no_answer")

    async def get_payment(
        self, payment_id: str, account: Account[NevogateMerchant], context: CallContext
    ) -> ReadOutcome:
        """Details, without the earlier transactions of the order."""
        arguments = {"TransactionId": payment_id, "GetRelatedTransactions": False}
        called = await _call("Details", arguments, account, context)
        if isinstance(called, Unknown):
            return RetryLater(called.reason)
        if not isinstance(called, tuple):
            return called
        return _report(called[0], payment_id, account, {"method": "Details"}) or RetryLater("no_answer")


def _own_url(account: Account[NevogateMerchant]) -> str | None:
    """The URL of this merchant's route for the gateway, with the first token; None if InitRP would not accept it.

    It is only ever sent to the gateway: with the token in it, it must not be logged or stored.

    Raises:
        SecretError: the token can't be read.
    """
    merchant = account.merchant
    assert merchant.charges is not None
    url = f"{merchant.charges.public_url.rstrip('/')}/notifications/{NAME}/{quote(merchant.id)}"
    if merchant.url_tokens:
        token = account.reveal(merchant.url_tokens[0])
        if not _TOKEN.match(token):
            return None  # it would not come back as it was sent
        url += f"?token={token}"
    return url if len(url) <= _MAX_URL_CHARACTERS else None


async def _call(
    method: str, arguments: Mapping[str, Any], account: Account[NevogateMerchant], context: CallContext
) -> tuple[ProviderResponse, dict[str, Any]] | NotDone | Unknown[RequestReason]:
    """The response and its JSON object if it is the gateway's and no error; else what the failure means."""
    charges = account.merchant.charges
    assert charges is not None
    patient = replace(context, timeout_seconds=charges.call_timeout_seconds)
    try:
        response = await client.call(method, arguments, account, patient)
        body = response_object(response)
    except ProviderUnreachableError:
        return RetryLater("unavailable")
    except ProviderRefusedError:
        return RetryLater("credentials")
    except (RetryableError, PermanentError):
        return Unknown("no_answer")
    code = common_data(body).get("ResultCode")
    if not isinstance(code, str) or not code:
        return Unknown("no_answer")
    if code in STATUSES:
        return response, body
    reason, decision = CODES.get(code, OTHER_CODE)
    if decision == "fail":
        return Failed(reason)
    return RetryLater(reason) if decision == "retry" else Unknown(reason)


def _report(
    response: ProviderResponse, payment_id: str, account: Account[NevogateMerchant], facts: Mapping[str, str]
) -> ChargeReport | None:
    """The payment's state as `interpret` will read it once the response is stored; None where it is not certain."""
    assert response.asked_at is not None
    said = {**facts, ASKED_AT: rfc3339(response.asked_at)}
    stored = msgspec.structs.replace(response, reference=payment_id, facts=said)
    try:
        observation = interpreted(stored, account.merchant)
    except UnreadableError:
        return None
    if observation is None or observation.status is None or observation.status == "unknown":
        return None
    return ChargeReport(observation.status, observation.amount, observation.order_id, observation.observed_at, stored)
