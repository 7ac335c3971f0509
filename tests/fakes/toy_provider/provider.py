"""Toypay: a form signed with HMAC-SHA256, and a payment that is read by its id."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import (
    Authenticity,
    Call,
    CallContext,
    Interpretation,
    Notification,
    ParsedNotification,
    Policy,
    ProviderResponse,
    Store,
    WaitingLookup,
)
from paynotify.processors.providers.form import fields
from paynotify.processors.providers.http import exchange
from paynotify.processors.providers.json_body import json_object
from paynotify.processors.providers.outcomes import LookupOutcome, Succeeded
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.messages import Lookup, Observation
from paynotify.schemas.money import from_minor
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests.fakes.toy_provider.contract import NAME, PAYMENT, ToypayMerchant

_STATUSES: Final[Mapping[str, Status]] = {"open": "pending", "paid": "captured"}


def signature(payment: str, key: str) -> str:
    """The signature of a notification about the payment."""
    return hmac.digest(key.encode(), payment.encode(), "sha256").hex()


class ToypayProvider:
    """The provider ``toypay``."""

    name = NAME
    policy = Policy(retries={"unavailable": 3})

    def parse(self, notification: Notification, account: Account[ToypayMerchant]) -> ParsedNotification:
        form = {name.decode(): value.decode() for name, value in fields(notification.body)}
        if "payment" not in form:
            raise RejectedNotificationError("malformed", "the form names no payment")
        return ParsedNotification(form["payment"], hashlib.sha256(notification.body).digest(), form)

    def verify(
        self, parsed: ParsedNotification, notification: Notification, account: Account[ToypayMerchant]
    ) -> Authenticity:
        given = parsed.detail.get("signature", "").encode()
        keys = account.reveal_all(account.merchant.keys)
        if not any(hmac.compare_digest(signature(parsed.reference or "", key).encode(), given) for key in keys):
            raise RejectedNotificationError("bad_signature", "no active key made the signature")
        return "authentic"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        return Lookup(
            provider=NAME,
            merchant=notification.merchant,
            operation=PAYMENT,
            reference=parsed.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
        )

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        return [Call(one.lookup_id, (one,)) for one in lookups]

    async def fetch(
        self, call: Call, account: Account[ToypayMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        (waiting,) = call.lookups
        url = f"{account.merchant.base_url}/payments/{waiting.lookup.reference}"
        async with context.pace(account.merchant.id):
            response = await exchange(context, "GET", url, headers={})
        await store(replace(response, reference=waiting.lookup.reference), call.lookups)
        return {waiting.lookup_id: Succeeded()}

    def interpret(self, response: ProviderResponse, account: Account[ToypayMerchant]) -> Interpretation:
        payment = json_object(response.body, lambda problem: UnreadableError(f"the response {problem}"))
        amount = from_minor(payment.get("amount"), payment.get("currency"))
        status = _STATUSES.get(payment["state"], "unknown")
        observation = Observation(
            provider=NAME,
            merchant=account.merchant.id,
            payment_id=payment["id"],
            order_id=payment["order"],
            status=status,
            amount=amount,
            paid=amount if status == "captured" else None,
            source="PAYMENT",
            provider_time=None,
            observed_at=rfc3339(response.received_at),
        )
        return Interpretation((observation,))
