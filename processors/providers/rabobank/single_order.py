"""The bank's single-order endpoint, for what no page of results and no event tells.

Sources: the bank's SDK manual 1.20 and developer portal, and the official SDK for Java. The bank forbids polling, keeps
an order for at least a day after its final status, and may switch the endpoint off; so each call is taken from a quota.
The response has no signature: it counts because it was asked for, over TLS, with the webshop's access token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx
from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.http import exchange, response_object
from paynotify.processors.providers.rabobank.values import STATUSES, instant, money, objects, page_of
from paynotify.schemas.errors import (
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    SecretError,
    UnreadableError,
)
from paynotify.schemas.messages import Observation
from paynotify.schemas.times import rfc3339

#: The fact a stored response carries, so that it is not taken for a page of results.
KIND: Final = "order"

_ORDER_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_NOT_ENABLED: Final = "single orders can only be queried with a refresh_token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}\Z")
#: An access token is renewed when this part of its life is left.
_RENEWAL_SHARE: Final = 0.05
_MAX_LIFE: Final = timedelta(hours=24)


def is_order_id(text: str) -> bool:
    """Whether the text has the form of the bank's own id of an order: a UUID in lower case."""
    return bool(_ORDER_ID.match(text))


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What opens the bank's routes for a webshop, and when a new one is due."""

    text: str
    renew_at: datetime


@dataclass(frozen=True, slots=True)
class BankAccess:
    """What a webshop's calls need; ``refresh_token`` reveals the token, None where none is configured."""

    merchant: str
    base_url: str
    refresh_token: Callable[[], str] | None


def bank_access(account: Account[Any]) -> BankAccess:
    """What the calls need for a merchant of any of the bank's providers."""
    merchant = account.merchant
    token = merchant.refresh_token
    return BankAccess(merchant.id, merchant.base_url, None if token is None else partial(account.reveal, token))


class OrderEndpoint:
    """Asks for single orders. Caches one access token for each merchant, as the bank requires."""

    def __init__(self) -> None:
        self._tokens: dict[str, AccessToken] = {}

    async def ask(
        self, order_id: str, access: BankAccess, context: CallContext, quota: Callable[[str], float]
    ) -> ProviderResponse:
        """The bank's response about one order, as it is stored; the call is taken from the merchant's ``quota``.

        Raises:
            ProviderRefusedError: not_found, credentials, refused (also where no ``refresh_token`` is configured).
            RateLimitedError: the bank responds with 429, or the quota of such calls is used up.
            ProviderUnavailableError: the bank is away, or the response can't be the bank's own.
        """
        if not is_order_id(order_id):
            raise ProviderRefusedError("refused", "not the id of an order")
        if access.refresh_token is None:
            raise ProviderRefusedError("refused", _NOT_ENABLED)
        wait_seconds = quota(access.merchant)
        if wait_seconds > 0:
            raise RateLimitedError("the quota of such calls is used up", retry_after_seconds=wait_seconds)
        response = await self._order(order_id, access, context)
        if response.http_status in (401, 403):
            self._tokens.pop(access.merchant, None)  # withdrawn before its time; once more with a new one
            response = await self._order(order_id, access, context)
        _judge(response)
        return replace(response, reference=order_id, facts={"kind": KIND})

    async def _order(self, order_id: str, access: BankAccess, context: CallContext) -> ProviderResponse:
        token = await self._access_token(access, context)
        # directly under the host, without the prefix of all other routes
        url = str(httpx.URL(access.base_url).join(f"/v2/orders/{order_id}"))
        async with context.pace(access.merchant):
            return await exchange(context, "GET", url, headers={"Authorization": f"Bearer {token}"})

    async def _access_token(self, access: BankAccess, context: CallContext) -> str:
        known = self._tokens.get(access.merchant)
        if known is None or known.renew_at <= context.now():
            async with context.pace(access.merchant):
                known = self._tokens[access.merchant] = await refreshed(access, context)
        return known.text


async def refreshed(access: BankAccess, context: CallContext) -> AccessToken:
    """A new access token for the webshop's refresh token.

    Raises:
        ProviderRefusedError: the bank does not accept the refresh token.
        RateLimitedError: the bank responds with 429.
        ProviderUnavailableError: there is no response, or it can't be the bank's own.
    """
    if access.refresh_token is None:
        raise ProviderRefusedError("refused", _NOT_ENABLED)
    try:
        secret = access.refresh_token()
    except SecretError as error:
        raise ProviderUnavailableError(str(error)) from None
    url = f"{access.base_url.rstrip('/')}/gatekeeper/refresh"
    response = await exchange(context, "GET", url, headers={"Authorization": f"Bearer {secret}"})
    if response.http_status != 200:
        raise ProviderRefusedError(
            "credentials", f"the bank does not accept the refresh token (HTTP {response.http_status})"
        )
    body = response_object(response)
    text, milliseconds = body.get("token"), body.get("durationInMillis")
    if not isinstance(text, str) or not _TOKEN.match(text) or type(milliseconds) is not int or milliseconds <= 0:
        raise ProviderUnavailableError("the response holds no access token")
    life = min(timedelta(milliseconds=min(milliseconds, 10**9)), _MAX_LIFE)
    return AccessToken(text, context.now() + life * (1 - _RENEWAL_SHARE))


def _judge(response: ProviderResponse) -> None:
    if response.http_status in (401, 403):
        raise ProviderRefusedError("credentials", "the bank does not accept the access token")
    if response.http_status == 404:
        raise ProviderRefusedError("not_found", "the bank does not know the order, or does not keep it any more")
    if response.http_status >= 400:
        raise ProviderRefusedError("refused", f"the bank refuses the query of the order (HTTP {response.http_status})")
    body = response_object(response)
    if body.get("errorCode") is not None:
        raise ProviderRefusedError("refused", "the bank refuses the query of the order")
    if not isinstance(body.get("order"), dict):
        raise ProviderUnavailableError("the response holds no order")


def observation(response: ProviderResponse, provider: str, merchant: str) -> Observation:
    """What a stored response says about its payment. There is no paid amount in it: a completed order is paid in full.

    Raises:
        UnreadableError: the response holds no order, or another one than was asked for.
    """
    order = page_of(response.body).get("order")
    if not isinstance(order, dict):
        raise UnreadableError("the response holds no order")
    order_id = order.get("id")
    if not isinstance(order_id, str) or order_id != response.reference:
        raise UnreadableError("the response is about another order than was asked for")
    code = order.get("status")
    code = code if isinstance(code, str) else ""
    amount = money(order.get("totalAmount"))
    merchant_order_id = order.get("merchantOrderId")
    return Observation(
        provider=provider,
        merchant=merchant,
        payment_id=order_id,
        order_id=merchant_order_id if isinstance(merchant_order_id, str) and merchant_order_id else None,
        status=STATUSES.get(code, "unknown"),
        amount=amount,
        paid=amount if STATUSES.get(code) == "captured" else None,
        provider_status={"orderStatus": code} if code in STATUSES else {},
        source="ORDER",
        provider_time=_newest(order),
        observed_at=rfc3339(response.received_at),
    )


def order_in(body: bytes) -> str | None:
    """The id of the order that a captured response is about; None where it is a page of results, or nothing."""
    try:
        document = page_of(body)
    except UnreadableError:
        return None
    order = document.get("order") if "moreOrderResultsAvailable" not in document else None
    order_id = order.get("id") if isinstance(order, dict) else None
    return order_id if isinstance(order_id, str) else None


def _newest(order: Mapping[str, Any]) -> str | None:
    """When the last of the order's transactions changed; the order itself has no time."""
    texts = (one.get("lastUpdatedAt") for one in objects(order, "transactions"))
    moments = [moment for text in texts if isinstance(text, str) and (moment := instant(text))]
    return rfc3339(max(moments)) if moments else None
