"""OmniKassa's single-order endpoint: for orders whose ping or page was missed, and for nothing else.

Sources: the bank's SDK manual 1.20 and developer portal, and the official SDK for Java. The bank forbids polling, keeps
an order for a day at least after its final status, and may switch the endpoint off; so each call is charged to a
budget. The answer has no signature: it counts because it was asked for, over TLS, with the webshop's access token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx

from processors.providers.base import Account, CallContext, Response
from processors.providers.http import HttpResponse, exchange, json_object
from processors.providers.omnikassa.order_results import STATUSES, instant, money, page_of
from processors.providers.omnikassa.signature import objects
from schemas.configuration.merchants import OmniKassaMerchant
from schemas.errors import (
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    SecretError,
    UnreadableError,
)
from schemas.messages import Observation
from schemas.times import rfc3339

#: The fact a stored answer carries, so that it is not taken for a page of results.
KIND: Final = "order"

_ORDER_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}\Z")
#: An access token is renewed when this part of its life is left.
_RENEWAL_SHARE: Final = 0.05
_LONGEST_LIFE: Final = timedelta(hours=24)


def is_order_id(text: str) -> bool:
    """Whether the text has the form of the bank's own id of an order: a UUID in lower case."""
    return bool(_ORDER_ID.match(text))


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What opens the bank's routes for a webshop, and when a new one is due."""

    text: str
    renew_at: datetime


class OrderEndpoint:
    """Asks for single orders. Keeps one access token for each merchant, as the bank wants it."""

    def __init__(self) -> None:
        self._tokens: dict[str, AccessToken] = {}

    async def ask(
        self, order_id: str, account: Account, merchant: OmniKassaMerchant, outside: CallContext
    ) -> HttpResponse:
        """The bank's word on one order.

        Raises:
            ProviderRefusedError: not_found, credentials, refused (also where no ``refresh_token`` is configured).
            RateLimitedError: the bank asks for patience, or the budget of such calls is used up.
            ProviderUnavailableError: outage, or an answer that can't be the bank's own.
        """
        if not is_order_id(order_id):
            raise ProviderRefusedError("refused", "not the id of an order")
        if merchant.refresh_token is None:
            raise ProviderRefusedError("refused", "single orders can only be asked for with a refresh_token")
        patience_seconds = outside.recovery(merchant.id)
        if patience_seconds > 0:
            raise RateLimitedError("the budget of recovery calls is used up", retry_after_seconds=patience_seconds)
        reply = await self._order(order_id, account, merchant, outside)
        if reply.status in (401, 403):
            del self._tokens[merchant.id]  # withdrawn before its time; once more with a new one
            reply = await self._order(order_id, account, merchant, outside)
        _judge(reply)
        return reply

    async def _order(
        self, order_id: str, account: Account, merchant: OmniKassaMerchant, outside: CallContext
    ) -> HttpResponse:
        token = await self._access_token(account, merchant, outside)
        # directly under the host, without the prefix of all other routes
        url = str(httpx.URL(merchant.base_url).join(f"/v2/orders/{order_id}"))
        async with outside.pace(merchant.id):
            return await exchange(outside, "GET", url, headers={"Authorization": f"Bearer {token}"})

    async def _access_token(self, account: Account, merchant: OmniKassaMerchant, outside: CallContext) -> str:
        known = self._tokens.get(merchant.id)
        if known is None or known.renew_at <= outside.now():
            async with outside.pace(merchant.id):
                known = self._tokens[merchant.id] = await refreshed(account, merchant, outside)
        return known.text


async def refreshed(account: Account, merchant: OmniKassaMerchant, outside: CallContext) -> AccessToken:
    """A new access token for the webshop's refresh token.

    Raises:
        ProviderRefusedError: credentials.
        RateLimitedError, ProviderUnavailableError: no answer, or none that can be the bank's own.
    """
    try:
        secret = account.secrets["refresh_token"][0].reveal()
    except SecretError as error:
        raise ProviderUnavailableError(str(error)) from None
    url = f"{merchant.base_url.rstrip('/')}/gatekeeper/refresh"
    reply = await exchange(outside, "GET", url, headers={"Authorization": f"Bearer {secret}"})
    if reply.status != 200:
        raise ProviderRefusedError("credentials", f"the bank does not accept the refresh token (HTTP {reply.status})")
    body = json_object(reply.body)
    text, milliseconds = body.get("token"), body.get("durationInMillis")
    if not isinstance(text, str) or not _TOKEN.match(text) or type(milliseconds) is not int or milliseconds <= 0:
        raise ProviderUnavailableError("the answer holds no access token")
    life = min(timedelta(milliseconds=min(milliseconds, 10**9)), _LONGEST_LIFE)
    return AccessToken(text, outside.now() + life * (1 - _RENEWAL_SHARE))


def _judge(reply: HttpResponse) -> None:
    if reply.status in (401, 403):
        raise ProviderRefusedError("credentials", "the bank does not accept the access token")
    if reply.status == 404:
        raise ProviderRefusedError("not_found", "the bank does not know the order, or does not keep it any more")
    if reply.status >= 400:
        raise ProviderRefusedError("refused", f"the bank refuses to tell about the order (HTTP {reply.status})")
    body = json_object(reply.body)
    if body.get("errorCode") is not None:
        raise ProviderRefusedError("refused", "the bank refuses to tell about the order")
    if not isinstance(body.get("order"), dict):
        raise ProviderUnavailableError("the answer holds no order")


def observation(response: Response) -> Observation:
    """What a stored answer says about its payment. There is no paid amount in it: a completed order is paid in full.

    Raises:
        UnreadableError: no order, or another one than was asked for.
    """
    order = page_of(response.body).get("order")
    if not isinstance(order, dict):
        raise UnreadableError("the answer holds no order")
    order_id = order.get("id")
    if not isinstance(order_id, str) or order_id != response.reference:
        raise UnreadableError("the answer is about another order than was asked for")
    word = order.get("status")
    word = word if isinstance(word, str) else ""
    amount = money(order.get("totalAmount"))
    merchant_order_id = order.get("merchantOrderId")
    return Observation(
        provider="omnikassa",
        merchant=response.merchant,
        payment_id=order_id,
        order_id=merchant_order_id if isinstance(merchant_order_id, str) and merchant_order_id else None,
        status=STATUSES.get(word, "unknown"),
        amount=amount,
        paid=amount if STATUSES.get(word) == "captured" else None,
        provider_status={"orderStatus": word} if word in STATUSES else {},
        source="ORDER",
        provider_time=_newest(order),
        observed_at=rfc3339(response.received_at),
    )


def order_in(body: bytes) -> str | None:
    """The id of the order that a captured answer is about; none where it is a page of results, or nothing."""
    try:
        answer = page_of(body)
    except UnreadableError:
        return None
    order = answer.get("order") if "moreOrderResultsAvailable" not in answer else None
    order_id = order.get("id") if isinstance(order, dict) else None
    return order_id if isinstance(order_id, str) else None


def _newest(order: Mapping[str, Any]) -> str | None:
    """When the last of the order's transactions changed; the order itself has no time."""
    texts = (one.get("lastUpdatedAt") for one in objects(order, "transactions"))
    moments = [moment for text in texts if isinstance(text, str) and (moment := instant(text))]
    return rfc3339(max(moments)) if moments else None
