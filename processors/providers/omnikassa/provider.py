"""Rabo OmniKassa (Smart Pay): a signed ping says that results wait; a pull with the ping's own token fetches them.

Sources: the bank's API manual 1.7, SDK manual 1.20, and the official SDKs for Java and PHP. A pull consumes the
results: the same URL then gives the next ones, without a cursor. So every page is stored before anything else, no call
is repeated behind the caller's back, and one pull answers all pings that wait. Single orders are looked up in recovery
only (`processors.providers.rabobank.single_order`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

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
from paynotify.processors.providers.http import exchange
from paynotify.processors.providers.json_body import json_object, readings
from paynotify.processors.providers.omnikassa.contract import NAME, ORDER, PULL, OmniKassaMerchant
from paynotify.processors.providers.omnikassa.order_results import interpreted, verified_page
from paynotify.processors.providers.omnikassa.signature import signed
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, Succeeded
from paynotify.processors.providers.rabobank.single_order import KIND, OrderEndpoint, bank_access
from paynotify.processors.providers.rabobank.single_order import observation as order_observation
from paynotify.processors.providers.rabobank.values import error_code_in, instant, plain_integer
from paynotify.schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RejectedNotificationError,
    RetryableError,
)
from paynotify.schemas.messages import Lookup
from paynotify.schemas.times import rfc3339

#: Event names that may cause a pull. The name becomes part of the address, so nothing else may.
EVENTS: Final = frozenset({"merchant.order.status.changed"})

#: 100 orders a page; a webshop with more waiting goes on at the next ping.
_PAGES_PER_CALL: Final = 200

#: The alphabet of a JWT. Its three parts are the bank's business: shops need not read tokens.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]+\Z")
_MAX_TOKEN_CHARACTERS: Final = 8192
_NOT_ACCEPTED: Final = "the bank does not accept the notification's token"


@dataclass(frozen=True, slots=True)
class Ping:
    """A notification's content as received; only ``poi_id`` is brought to plain decimal."""

    authentication: str
    expiry: str
    event: str
    poi_id: str
    signature: str

    def signed_text(self) -> str:
        return f"{self.authentication},{self.expiry},{self.event},{self.poi_id}"


@dataclass(frozen=True, slots=True)
class _Token:
    """What a pull is authorised by, and the lookup it came from."""

    lookup_id: str
    event: str
    text: str
    expires: datetime


class OmniKassaProvider:
    """The provider ``omnikassa``."""

    name = NAME
    #: Few tries: a token lives minutes, and the bank pings every minute until its results are pulled.
    policy = Policy(retries={"unavailable": 5, "rate_limited": 5}, recovers_rarely=True)

    def __init__(self) -> None:
        self._orders = OrderEndpoint()

    def parse(self, notification: Notification, account: Account[OmniKassaMerchant]) -> ParsedNotification:
        """The ping in the body; unknown members are ignored, as the official SDKs do."""
        body = json_object(
            notification.body, lambda problem: RejectedNotificationError("malformed", f"the body {problem}")
        )
        signature = body.get("signature")
        if signature is None or signature == "":
            raise RejectedNotificationError("missing_signature", "the body has no signature")
        poi_id = plain_integer(body.get("poiId"))
        if poi_id is None or poi_id.startswith("-"):
            raise RejectedNotificationError("malformed", "poiId is not a number of a webshop")
        expiry = body.get("expiry")
        ping = Ping(
            _required_text(body, "authentication"),
            "" if expiry is None else _required_text(body, "expiry"),
            _required_text(body, "eventName"),
            poi_id,
            _required_text(body, "signature"),
        )
        whole = f"{ping.signed_text()},{ping.signature}"
        return ParsedNotification(reference=None, duplicate_key=hashlib.sha256(whole.encode()).digest(), detail=ping)

    def verify(
        self, parsed: ParsedNotification, notification: Notification, account: Account[OmniKassaMerchant]
    ) -> Authenticity:
        """First the signature, then whether the ping may cause a pull, which unauthenticated callers must not learn."""
        ping: Ping = parsed.detail
        if not signed(ping.signed_text(), ping.signature, account):
            raise RejectedNotificationError("bad_signature", "no active signing key made the signature")
        _check_format(ping)
        if ping.poi_id != str(account.merchant.poi_id):
            raise RejectedNotificationError("unknown_merchant", "poiId is another webshop's than the configured poi_id")
        expires = instant(ping.expiry)
        if expires is None:
            raise RejectedNotificationError("expired_token", "expiry is not a valid time, so the token can't be used")
        if expires <= notification.came_at:
            raise RejectedNotificationError("expired_token", "the token had expired when the notification came")
        return "authentic"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        """A pull with the ping's own token: no other one is needed, and it is bound to shop and event."""
        ping: Ping = parsed.detail
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation=PULL,
            reference=None,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
            arguments={"event": ping.event, "token": ping.authentication, "expires": ping.expiry},
        )

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        """One pull for all waiting pings, and one call for each order; all in the webshop's one queue."""
        pulls = tuple(one for one in lookups if one.lookup.operation != ORDER)
        orders = [Call(one.lookup.merchant, (one,)) for one in lookups if one.lookup.operation == ORDER]
        return [*([Call(pulls[0].lookup.merchant, pulls)] if pulls else []), *orders]

    async def fetch(
        self, call: Call, account: Account[OmniKassaMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Ask for one order, or pull page after page with the newest token that is still valid."""
        if call.lookups[0].lookup.operation == ORDER:
            return await self._order(call, account, context, store)
        tokens = [token for one in call.lookups if (token := _token(one)) is not None]
        token = max(tokens, key=lambda one: one.expires, default=None)
        if token is None:
            return call.all_end_as(_EXPIRED)
        stored = 0
        again = None
        more = True
        while more and stored < _PAGES_PER_CALL:
            try:
                async with context.pace(call.queue):
                    if token.expires <= context.now():
                        break
                    response = await self._pull(token, account.merchant, context)
            except (RetryableError, PermanentError) as error:
                failure: RetryableError | PermanentError | None = error
            else:
                # the bank counts the page as delivered, so it is stored before anybody judges whether it is one
                await store(replace(response, facts=_page_facts(account.merchant)), call.lookups)
                failure, more = _judged(response)
            if failure is not None:
                if stored == 0:
                    raise failure
                # What came so far answers the lookups; what is left comes with a further pull or the next ping.
                again = failure.reason if isinstance(failure, RetryableError) else None
                break
            stored += 1
        if stored == 0:
            return call.all_end_as(_EXPIRED)
        # Any page answers all of them, the expired ones too; one of them asks again where pages are left.
        return {**call.all_end_as(Succeeded()), token.lookup_id: Succeeded(again=again)}

    async def _order(
        self, call: Call, account: Account[OmniKassaMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        order_id = call.lookups[0].lookup.reference or ""
        response = await self._orders.ask(order_id, bank_access(account), context, context.recovery_wait)
        await store(response, call.lookups)
        return call.all_end_as(Succeeded())

    async def _pull(self, token: _Token, merchant: OmniKassaMerchant, context: CallContext) -> ProviderResponse:
        """Whatever the bank responds with, unless that is a refusal or nothing at all.

        Raises:
            ProviderRefusedError: the bank does not accept the token or the request; the next ping brings another token.
            ProviderUnavailableError: there is no response, or none that is the bank's own.
        """
        # path and signing rule belong together: v2 pages are signed with their transactions, v1 pages without
        version = "v2/" if merchant.results_version == 2 else ""
        url = f"{merchant.base_url.rstrip('/')}/order/server/api/{version}events/results/{token.event}"
        headers = {"Authorization": f"Bearer {token.text}"}
        response = await exchange(context, "GET", url, headers=headers, keep_broken=True)
        if response.http_status in (401, 403):
            raise ProviderRefusedError("credentials", _NOT_ACCEPTED)
        if response.http_status >= 400:
            raise _error_in(_object_in(response)) or ProviderRefusedError(
                "refused", f"the bank refuses the pull (HTTP {response.http_status})"
            )
        if not response.body:
            raise ProviderUnavailableError("the response is empty")
        return response

    def interpret(self, response: ProviderResponse, account: Account[OmniKassaMerchant]) -> Interpretation:
        """The orders of a page, once its signature is right; or the single order that was queried."""
        if response.facts.get("kind") == KIND:
            return Interpretation((order_observation(response, NAME, account.merchant.id),))
        return interpreted(verified_page(response, account), account.merchant, response)


def _required_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise RejectedNotificationError("malformed", f"{name} is missing or not text")
    return value


def _check_format(ping: Ping) -> None:
    """Moving a comma between neighbouring fields keeps the signature right, so each field's form is looked at too."""
    if "," in ping.authentication or "," in ping.expiry or "," in ping.event:
        raise RejectedNotificationError("malformed", "a field holds a comma, so the fields may have been re-split")
    if ping.event not in EVENTS:
        raise RejectedNotificationError("unknown_event", "eventName is not on the list of known events")
    if len(ping.authentication) > _MAX_TOKEN_CHARACTERS or not _TOKEN.match(ping.authentication):
        raise RejectedNotificationError("malformed", "authentication is not a token")


def _token(waiting: WaitingLookup) -> _Token | None:
    """The lookup's token, checked again: lookups can be replayed from a topic others may write to."""
    arguments = waiting.lookup.arguments
    event, text = arguments.get("event", ""), arguments.get("token", "")
    expires = instant(arguments.get("expires", ""))
    if event not in EVENTS or not _TOKEN.match(text) or expires is None:
        return None
    return _Token(waiting.lookup_id, event, text, expires)


def _judged(response: ProviderResponse) -> tuple[RetryableError | PermanentError | None, bool]:
    """Why a stored response is no page, and whether more pages wait. What may be a page counts as consumed."""
    if not response.complete:
        return ProviderUnavailableError("the response's end is missing"), False
    page = _object_in(response)
    error = _error_in(page)
    if error is not None:
        return error, False
    if page is not None and response.http_status == 200:
        # True without orders would go on for ever.
        return None, page.get("moreOrderResultsAvailable") is True and bool(page.get("orderResults"))
    if response.content_encoding or (page is None and response.body.lstrip()[:1] == b"{"):
        return None, False
    return ProviderUnavailableError("the response is not a page of results"), False


def _object_in(response: ProviderResponse) -> Mapping[str, Any] | None:
    return next(readings(response.body), None)


def _error_in(page: Mapping[str, Any] | None) -> ProviderRefusedError | None:
    """The bank's error, whatever the status."""
    error_code = None if page is None else error_code_in(page)
    if error_code is None:
        return None
    if error_code in (5001, "5001"):
        return ProviderRefusedError("credentials", _NOT_ACCEPTED)
    return ProviderRefusedError("refused", "the bank refuses the pull with an errorCode")


def _page_facts(merchant: OmniKassaMerchant) -> Mapping[str, str]:
    """The signing rule that a stored page is verified by, whatever the configuration says later."""
    return {"results-version": str(merchant.results_version)}


_EXPIRED: Final[LookupOutcome] = Failed(
    "expired_token", "no waiting notification's token is valid any more; the next ping brings one"
)
