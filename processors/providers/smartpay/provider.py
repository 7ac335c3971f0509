"""Rabo Smart Pay v3 push webhooks: a signed event names an order, and the order call or the event tells its status.

Sources: the bank's developer pages on webhooks v3, a draft that nobody has confirmed; so hosts, keys and algorithms are
configuration. Results come from the provider's response as everywhere, unless the merchant says ``truth: event``: the
order call is allowed for rare cases only, is missing in the bank's sandbox and forgets an order after a day, while an
event may come for 24 days. Then the event is the answer, which the bank itself signed, and nothing else of a body is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import orjson

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import (
    Authenticity,
    Call,
    CallContext,
    Interpretation,
    Notification,
    ParsedNotification,
    Policy,
    ProviderAlert,
    ProviderResponse,
    Store,
    WaitingLookup,
)
from paynotify.processors.providers.call_times import begin
from paynotify.processors.providers.json_body import json_object
from paynotify.processors.providers.outcomes import LookupOutcome, RetryLater, Succeeded
from paynotify.processors.providers.rabobank.single_order import OrderEndpoint, bank_access
from paynotify.processors.providers.rabobank.single_order import observation as order_observation
from paynotify.processors.providers.smartpay.contract import (
    EVENT,
    EVENT_ID,
    EVENT_TYPE,
    HEADER_BYTES,
    MAX_AGE_SECONDS,
    NAME,
    ORDER,
    SIGNATURE,
    SmartPayMerchant,
)
from paynotify.processors.providers.smartpay.event import Claim, Event, event_in
from paynotify.processors.providers.smartpay.published_keys import PublishedKeys
from paynotify.processors.providers.smartpay.signature import DetachedSignature, check_signature, signature_in
from paynotify.schemas.errors import (
    ProviderRefusedError,
    RejectedNotificationError,
    UndecidedNotificationError,
    UnreadableError,
)
from paynotify.schemas.messages import RECOVERY, Lookup, Observation
from paynotify.schemas.reasons import NotificationWarning
from paynotify.schemas.times import rfc3339

_MAX_AGE: Final = timedelta(seconds=MAX_AGE_SECONDS)
_AHEAD: Final = timedelta(minutes=5)
#: The members of a claim, as arguments of a lookup and as members of a stored event.
_CLAIM: Final = ("status", "total", "paid")


@dataclass(frozen=True, slots=True)
class _Call:
    """A call's signature, and its event or what is wrong with it: that counts once the signature is right."""

    signature: DetachedSignature
    event: Event | None
    problem: RejectedNotificationError | None
    operation: str
    arguments: Mapping[str, str]


class SmartPayProvider:
    """The provider ``smartpay``."""

    name = NAME
    policy = Policy(
        # an order that is not found may be told of too early; a used up budget comes back within the hour
        retries={"unavailable": 10, "rate_limited": 30, "not_found": 5},
        recovers_rarely=True,
    )

    def __init__(self) -> None:
        self.published = PublishedKeys()
        self._orders = OrderEndpoint()
        self._quotas: dict[int, HourlyQuota] = {}

    def parse(self, notification: Notification, account: Account[SmartPayMerchant]) -> ParsedNotification:
        """The signature's form and the event. What is wrong with the event is said once the signature is right."""
        signature = signature_in(notification.headers.get(SIGNATURE, "").strip(), HEADER_BYTES[SIGNATURE])
        try:
            event = event_in(notification.body)
        except RejectedNotificationError as problem:
            return ParsedNotification(None, None, _Call(signature, None, problem, ORDER, {}))
        kind = event.ignored_as
        return ParsedNotification(
            reference=event.order_id,
            duplicate_key=event.event_id.encode(),
            detail=_Call(signature, event, None, *_question(event, account.merchant)),
            alert=None if kind is None else ProviderAlert(kind, kind),
            warnings=_warnings(event, notification),
        )

    def verify(
        self, parsed: ParsedNotification, notification: Notification, account: Account[SmartPayMerchant]
    ) -> Authenticity:
        """First the signature, then what it is over: the event, its headers, its subscription, its age."""
        call: _Call = parsed.detail
        merchant = account.merchant
        try:
            check_signature(call.signature, notification.body, self.published.of(merchant), merchant.algorithms)
        except UndecidedNotificationError:
            self.published.missed(merchant)
            raise
        if call.problem is not None:
            raise call.problem
        assert call.event is not None
        _check_event(call.event, notification, merchant)
        return "authentic"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        """The order call, or with ``truth: event`` what the event says of the order, without metadata."""
        call: _Call = parsed.detail
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation=call.operation,
            reference=parsed.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
            arguments=dict(call.arguments),
        )

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        """One call for all that wait for the same order, whether an event caused it or a poll; each event by itself."""
        gathered: dict[tuple[str, ...], list[WaitingLookup]] = {}
        for one in lookups:
            reference = one.lookup.reference or ""
            own = (one.lookup_id,) if one.lookup.operation == EVENT else ()
            recovery = one.lookup.arguments.get(RECOVERY, "")
            gathered.setdefault((reference, one.lookup.operation, recovery, *own), []).append(one)
        return [
            Call(reference, tuple(waiting), asks=operation != EVENT)
            for (reference, operation, *_), waiting in gathered.items()
        ]

    async def fetch(
        self, call: Call, account: Account[SmartPayMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Ask for the order; or store what the event says, which the stage interprets like a response."""
        first = call.lookups[0].lookup
        if first.operation == EVENT:
            return await self._tell(call, context, store)
        quota = context.recovery_wait if RECOVERY in first.arguments else self._quota(account.merchant)
        try:
            response = await self._orders.ask(first.reference or "", bank_access(account), context, quota)
        except ProviderRefusedError as refused:
            if refused.reason != "not_found" or RECOVERY in first.arguments:
                raise
            if "status" in first.arguments:
                return await self._tell(call, context, store)
            return call.all_end_as(RetryLater("not_found", str(refused)))
        await store(response, call.lookups)
        return call.all_end_as(Succeeded())

    async def _tell(self, call: Call, context: CallContext, store: Store) -> Mapping[str, LookupOutcome]:
        first = call.lookups[0].lookup
        told = {name: first.arguments.get(name, "") for name in _CLAIM}
        times = begin(context)()
        response = ProviderResponse(
            body=orjson.dumps(told),
            content_type="application/json",
            http_status=200,
            received_at=times.received_at,
            by_brokers=times.by_brokers,
            reference=first.reference,
            facts={"kind": EVENT},
        )
        await store(response, call.lookups)
        return call.all_end_as(Succeeded())

    def _quota(self, merchant: SmartPayMerchant) -> HourlyQuota:
        per_hour = merchant.order_calls_per_hour
        return self._quotas.setdefault(per_hour, HourlyQuota(per_hour))

    def interpret(self, response: ProviderResponse, account: Account[SmartPayMerchant]) -> Interpretation:
        """The order, or what the event says of it; as the other merchant's payment where one tells of the same."""
        provider, merchant = account.merchant.same_payments() or (NAME, account.merchant.id)
        if response.facts.get("kind") == EVENT:
            return Interpretation((_told(response, provider, merchant),))
        return Interpretation((order_observation(response, provider, merchant),))


def _question(event: Event, merchant: SmartPayMerchant) -> tuple[str, Mapping[str, str]]:
    """The operation that answers the event, and its arguments.

    With ``truth: event`` the event answers, unless what it says is not clear and the order call can be asked.
    """
    if merchant.truth == "order" or event.claim is None:
        return ORDER, {}
    claim = event.claim
    clear = claim.as_status() != "unknown"
    arguments = {name: getattr(claim, name) for name in _CLAIM}
    return (EVENT if clear or merchant.refresh_token is None else ORDER), arguments


def _warnings(event: Event, notification: Notification) -> tuple[NotificationWarning, ...]:
    ahead = event.told_at is not None and event.told_at > notification.came_at + _AHEAD
    return ("clock_ahead",) if ahead else ()


def _check_event(event: Event, notification: Notification, merchant: SmartPayMerchant) -> None:
    """Only the body is signed: the headers must say the same, and the event must be this shop's and not too old."""
    named = notification.headers.get(EVENT_ID), notification.headers.get(EVENT_TYPE)
    if named != (event.event_id, event.kind):
        raise RejectedNotificationError("mismatch", "the headers name another event than the signed body")
    ours = merchant.subscription_ids
    own_test = event.ignored_as == "test_event" and not event.subscription_id
    if ours and not own_test and event.subscription_id not in ours:
        raise RejectedNotificationError("mismatch", "the subscription is not one of subscription_ids")
    if event.told_at is not None and event.told_at < notification.came_at - _MAX_AGE:
        raise RejectedNotificationError("stale", "the event is older than the bank repeats one")


def _told(response: ProviderResponse, provider: str, merchant: str) -> Observation:
    """What a signed event says about its order. What its time means is not documented, so none is given."""
    told = json_object(response.body, lambda problem: UnreadableError(f"the event {problem}"))
    texts = [told.get(name) for name in _CLAIM]
    if not response.reference or not all(isinstance(one, str) for one in texts):
        raise UnreadableError("the event is not of the form in which it is stored")
    claim = Claim(*(str(one) for one in texts))
    status = claim.as_status()
    return Observation(
        provider=provider,
        merchant=merchant,
        payment_id=response.reference,
        order_id=None,
        status=status,
        amount=claim.amount("total"),
        paid=claim.amount("paid") if status == "captured" else None,
        provider_status={"status": claim.status} if claim.status else {},
        source="EVENT",
        provider_time=None,
        observed_at=rfc3339(response.received_at),
    )
