"""Charging a registered means of payment at BIG FISH / Nevogate: InitRP, StartRP, Close, and Details for the truth.

Sources: the vendor's pages on the recurring two-step payment, InitRP, StartRP, Close and Details. The API has no
idempotency key, so StartRP and Close are never repeated unless the gateway certainly did nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal
from urllib.parse import quote

from processors.providers.base import Account, Answer, CallContext, Response
from processors.providers.charging import (
    CaptureOrVoid,
    ChargeDelayed,
    ChargeOpened,
    ChargeOrder,
    ChargeRejected,
    ChargeReport,
    ChargeUnknown,
)
from processors.providers.http import HttpResponse, json_object
from processors.providers.nevogate.client import ask
from processors.providers.nevogate.provider import ASKED_AT, STATUSES, NevogateProvider
from schemas.configuration.merchants import NevogateMerchant
from schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnreachableError,
    RetryableError,
    SecretError,
    UnreadableError,
)
from schemas.messages import RequestedPayment
from schemas.money import to_major
from schemas.reasons import RequestReason
from schemas.times import rfc3339

#: What an error code means for a call that moves money: it certainly did nothing and never will (``refuse``), it did
#: nothing and a person can mend that (``wait``), or perhaps it is done already (``ask`` for the truth).
Decision = Literal["refuse", "wait", "ask"]

#: Every code of the vendor's tables. The vendor documents none as retryable: credentials and addresses wait because
#: all of the merchant's requests fail alike until they are mended, and nothing has moved.
CODES: Final[Mapping[str, tuple[RequestReason, Decision]]] = {
    "InactiveStore": ("inactive_store", "refuse"),
    "InactiveProvider": ("inactive_provider", "refuse"),
    "MissingParameter": ("parameters", "refuse"),
    "MissingRemoteAddress": ("address", "wait"),
    "UnauthorizedAccess": ("credentials", "wait"),
    "UnauthorizedRemoteAddress": ("address", "wait"),
    "UnknownParameter": ("parameters", "refuse"),
    "UnknownProvider": ("unknown_provider", "refuse"),
    "UnknownProviderForStore": ("unknown_provider", "refuse"),
    "UnknownReferenceTransaction": ("unknown_reference", "refuse"),
    "UnknownStore": ("unknown_store", "refuse"),
    "UnknownTransaction": ("unknown_payment", "refuse"),
    "WrongApikey": ("credentials", "wait"),
    "WrongParameter": ("parameters", "refuse"),
    "WrongProviderSettings": ("provider_settings", "refuse"),
    "WrongReferenceTransactionStatus": ("reference_not_usable", "refuse"),
    "WrongTransactionStatus": ("wrong_state", "ask"),
}
#: A code of a provider behind the gateway: of a call that moves money nobody knows what it left behind.
OTHER_CODE: Final[tuple[RequestReason, Decision]] = ("provider_code", "ask")

_TRANSACTION: Final = re.compile(r"[0-9a-f]{32}\Z")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{1,200}\Z")
_LONGEST_URL: Final = 255
_LONGEST_ORDER_ID: Final = 255
#: Not documented; the longest text the vendor's other parameters take.
_LONGEST_USER_ID: Final = 255
_MODULE: Final = {"ModuleName": "paynotify", "ModuleVersion": "1"}

_READER: Final = NevogateProvider()


class NevogateChargeGateway:
    """Charging at ``nevogate``."""

    name = "nevogate"
    unsigned = True

    def problem(self, asked: RequestedPayment, account: Account) -> RequestReason | None:
        """Ids the gateway would not take; a URL longer than InitRP takes."""
        ids = (asked.reference_payment_id, asked.payment_id)
        if any(one is not None and not _TRANSACTION.match(one) for one in ids):
            return "bad_request"
        if len(asked.order_id or "") > _LONGEST_ORDER_ID or len(asked.user_id or "") > _LONGEST_USER_ID:
            return "bad_request"
        try:
            return "configuration" if asked.action == "charge" and _own_url(account) is None else None
        except SecretError:
            return None  # it can't be read now; the call waits until it can

    async def init(
        self, order: ChargeOrder, account: Account, outside: CallContext
    ) -> ChargeOpened | ChargeRejected | ChargeDelayed:
        """InitRP: no money moves, so whatever went wrong can be tried again."""
        try:
            url = _own_url(account)
        except SecretError:
            return ChargeDelayed("configuration")
        if url is None:
            return ChargeRejected("configuration")
        arguments = {
            "StoreName": _merchant(account).store_name,
            "ReferenceTransactionId": order.reference_payment_id,
            "ResponseUrl": url,
            "NotificationUrl": url,
            "Amount": to_major(order.amount),
            "Currency": order.amount.currency,
            "OrderId": order.order_id,
            **({"UserId": order.user_id} if order.user_id else {}),
            **_MODULE,
        }
        said = await _said("InitRP", arguments, account, outside)
        if isinstance(said, ChargeUnknown):
            # whatever it left behind is never started; only a code of a provider is an answer
            return ChargeDelayed("no_answer") if said.reason == "no_answer" else ChargeRejected(said.reason)
        if not isinstance(said, tuple):
            return said
        _, answer = said
        transaction = answer.get("TransactionId")
        if not isinstance(transaction, str) or not _TRANSACTION.match(transaction):
            return ChargeDelayed("no_answer")
        return ChargeOpened(transaction)

    async def start(
        self, payment_id: str, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed | ChargeUnknown:
        """StartRP: the answer is the outcome, unless it does not tell whether the money is only reserved."""
        said = await _said("StartRP", {"TransactionId": payment_id}, account, outside)
        if not isinstance(said, tuple):
            return said
        return _told(said[0], payment_id, account, {"method": "StartRP"}) or ChargeUnknown("no_answer")

    async def close(
        self, closing: CaptureOrVoid, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed | ChargeUnknown:
        """Close in one of its three ways. ApprovedAmount 0 would capture everything, so it is sent for a part alone."""
        arguments: dict[str, Any] = {
            "TransactionId": closing.payment_id,
            "Approved": "true" if closing.capture else "false",
        }
        part = closing.amount if closing.capture and closing.amount != closing.authorised else None
        if part is not None:
            arguments["ApprovedAmount"] = to_major(part)
        said = await _said("Close", arguments, account, outside)
        if not isinstance(said, tuple):
            return said
        facts = {"method": "Close", "asked": "capture" if closing.capture else "release"}
        if closing.capture and closing.amount is not None:
            facts |= {"value": str(closing.amount.value), "currency": closing.amount.currency}
        return _told(said[0], closing.payment_id, account, facts) or ChargeUnknown("no_answer")

    async def truth(
        self, payment_id: str, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed:
        """Details, without the earlier transactions of the order."""
        arguments = {"TransactionId": payment_id, "GetRelatedTransactions": False}
        said = await _said("Details", arguments, account, outside)
        if isinstance(said, ChargeUnknown):
            return ChargeDelayed(said.reason)
        if not isinstance(said, tuple):
            return said
        return _told(said[0], payment_id, account, {"method": "Details"}) or ChargeDelayed("no_answer")


def _merchant(account: Account) -> NevogateMerchant:
    assert isinstance(account.merchant, NevogateMerchant)
    return account.merchant


def _own_url(account: Account) -> str | None:
    """Where the gateway reaches this merchant's route, with the first token; none if InitRP would not take it.

    It is only ever sent to the gateway: with the token in it, it must not be logged or stored.

    Raises:
        SecretError: the token can't be read.
    """
    merchant = _merchant(account)
    assert merchant.charges is not None
    url = f"{merchant.charges.public_url.rstrip('/')}/notifications/nevogate/{quote(merchant.id)}"
    if merchant.url_tokens:
        token = account.secrets["url_tokens"][0].reveal()
        if not _TOKEN.match(token):
            return None  # it would not come back as it was sent
        url += f"?token={token}"
    return url if len(url) <= _LONGEST_URL else None


async def _said(
    method: str, arguments: Mapping[str, Any], account: Account, outside: CallContext
) -> tuple[HttpResponse, dict[str, Any]] | ChargeRejected | ChargeDelayed | ChargeUnknown:
    """The call's answer if it is the gateway's and no error; else what its failure means."""
    charges = _merchant(account).charges
    assert charges is not None
    try:
        reply = await ask(method, arguments, account, replace(outside, timeout_seconds=charges.call_timeout_seconds))
        answer = json_object(reply.body)
    except ProviderUnreachableError:
        return ChargeDelayed("unavailable")
    except ProviderRefusedError:
        return ChargeDelayed("credentials")
    except (RetryableError, PermanentError):
        return ChargeUnknown("no_answer")
    code = _code(answer)
    if code in STATUSES:
        return reply, answer
    if not code:
        return ChargeUnknown("no_answer")
    reason, decision = CODES.get(code, OTHER_CODE)
    if decision == "refuse":
        return ChargeRejected(reason)
    return ChargeDelayed(reason) if decision == "wait" else ChargeUnknown(reason)


def _code(answer: Mapping[str, Any]) -> str:
    common = answer.get("CommonData")
    code = (common if isinstance(common, dict) else answer).get("ResultCode")
    return code if isinstance(code, str) else ""


def _told(reply: HttpResponse, payment_id: str, account: Account, facts: Mapping[str, str]) -> ChargeReport | None:
    """The answer as `interpret` will read it once it is stored; none where it tells nothing certain."""
    response = Response(
        merchant=account.merchant.id,
        body=reply.body,
        content_type=reply.content_type,
        http_status=reply.status,
        received_at=reply.received_at,
        reference=payment_id,
        facts={**facts, ASKED_AT: rfc3339(reply.asked_at)},
    )
    try:
        (observation,) = _READER.interpret(response, account)
    except UnreadableError:
        return None
    if observation.status is None or observation.status == "unknown":
        return None
    answer = Answer(
        body=reply.body,
        content_type=reply.content_type,
        http_status=reply.status,
        received_at=reply.received_at,
        reference=payment_id,
        answers=(),
        facts={**facts, ASKED_AT: rfc3339(reply.asked_at)},
    )
    return ChargeReport(observation.status, observation.amount, observation.order_id, observation.observed_at, answer)
