"""verify: is this notification authentic, and was it seen before? Ends as lookup, duplicate, alert or rejected."""

from __future__ import annotations

import hashlib
import hmac
import logging
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from processors.dead_letters import ended
from processors.metrics import Metrics
from processors.providers.base import (
    Account,
    Authenticity,
    Notification,
    ParsedNotification,
    Provider,
)
from processors.runtime.loop import BatchContext
from processors.state.partition_state import Overlay
from processors.verify.unsigned_budget import (
    account_key,
    calls_key,
    charged_key,
    count,
    known_key,
    spend,
    spend_known,
    spending,
    unknown_key,
)
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.model import KafkaSettings, UnsignedBudget
from schemas.configuration.secrets import reveal_all
from schemas.errors import Rejected
from schemas.ids import derived_id
from schemas.messages import Lookup
from schemas.records import Output, Record
from schemas.routes import token_digest
from schemas.times import parse_time
from service.logs import event

logger = logging.getLogger("paynotify.verify")

_SEEN: Final = struct.Struct(">d")


def notification_of(record: Record) -> Notification:
    """A stored notification as the providers read it."""
    _, _, place = record.header("ce_source").partition("/notifications/")
    provider, _, merchant = place.partition("/")
    received = parse_time(record.header("ce_time"))
    return Notification(
        notification_id=record.header("ce_id"),
        provider=provider,
        merchant=merchant,
        method=record.header("http-method", "POST"),
        query=record.header("http-query"),
        content_type=record.header("content-type"),
        body=record.value or b"",
        received_at=received or datetime.fromtimestamp(record.timestamp_seconds, UTC),
        traceparent=record.header("traceparent"),
    )


def judge(provider: Provider, account: Account, notification: Notification) -> tuple[ParsedNotification, Authenticity]:
    """Parse, then verify.

    Raises:
        Rejected: with a reason of the closed list.
    """
    claim = provider.parse(notification, account)
    return claim, provider.verify(claim, notification, account)


def check_url_token(digest: str, account: Account) -> None:
    """Compare the token of the call's URL, stored as its digest, with each that is valid now.

    Raises:
        Rejected: missing_signature, bad_signature; never for a merchant without tokens.
    """
    tokens = account.secrets["url_tokens"] if account.merchant.url_tokens else ()
    if not tokens:
        return
    if not digest:
        raise Rejected("missing_signature", "the URL has no token, and this merchant's must have one")
    given = digest.encode()
    valid = [hmac.compare_digest(token_digest(token.encode()).encode(), given) for token in reveal_all(tokens)]
    if not any(valid):
        raise Rejected("bad_signature", "the URL's token is none of this merchant's")


class VerifyStage:
    """The stage for one provider. Its state is what was seen, by merchant and content."""

    name = "verify"

    def __init__(
        self,
        provider: Provider,
        accounts: Mapping[str, Account],
        kafka: KafkaSettings,
        metrics: Metrics,
        duplicate_window_seconds: float = 0.0,
        budget: UnsignedBudget | None = None,
    ) -> None:
        self.provider = provider.name
        self._provider = provider
        self._accounts = accounts
        self._window_seconds = duplicate_window_seconds
        self._budget = budget
        self._lookups = kafka.topic(topics.lookups(provider.name))
        self._rejected = kafka.topic(topics.REJECTED)
        self._duplicates = kafka.topic(topics.DUPLICATES)
        self._alerts = kafka.topic(topics.ALERTS)
        self._outcomes = metrics.outcomes
        self._last = metrics.last_notification.labels(provider.name)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """One output for each notification."""
        outputs = [self._output(record, context.state) for record in context.records]
        self._tell_alerts(
            [record for record, output in zip(context.records, outputs, strict=True) if output.topic == self._alerts]
        )
        return outputs

    def _tell_alerts(self, alerts: Sequence[Record]) -> None:
        """One line for all of a batch, or strangers could fill the log as fast as they can call."""
        if alerts:
            # not the alerts' names: the calls are unsigned, so the words are whatever a stranger likes to see in a log
            event(
                logger,
                "provider_alert",
                level=logging.WARNING,
                provider=self.provider,
                alerts=len(alerts),
                topic=alerts[0].topic,
                partition=alerts[0].partition,
                offset=alerts[0].offset,
            )

    def dead_letter(self, record: Record) -> Output:
        """Bytes no module foresaw are malformed."""
        return self._reject(record, Rejected("malformed", "unforeseen"))

    def _output(self, record: Record, state: Overlay) -> Output:
        notification = notification_of(record)
        try:
            if not notification.notification_id:
                raise Rejected("malformed", "the record has no ce_id")
            account = self._accounts.get(notification.merchant)
            if account is None:
                raise Rejected("unknown_merchant", "no such merchant in the configuration")
            check_url_token(record.header("url-token"), account)
            claim, verdict = judge(self._provider, account, notification)
            # whoever knows the URL's token is no stranger: no flood can delay the calls of a merchant that has one
            if verdict == "unsigned" and claim.reference is not None and not account.merchant.url_tokens:
                self._charge(claim.reference, notification, record, state)
        except Rejected as rejected:
            return self._reject(record, rejected)
        self._last.set(notification.received_at.timestamp())
        if claim.alert is not None:
            return self._alert(record, claim.alert)
        first = self._first_seen(claim, notification, state)
        if first is not None:
            return self._duplicate(record, notification, first)
        self._count("lookup")
        return lookup_output(self._lookups, self._provider.plan(claim, notification), notification)

    def _charge(self, reference: str, notification: Notification, record: Record, state: Overlay) -> None:
        """Charge an unsigned call: to its id's own account if the provider knew it, else to all strangers'.

        Raises:
            Rejected: over_budget.
        """
        if self._budget is None:
            return
        merchant, key = notification.merchant, charged_key(notification.notification_id, record.offset)
        # the same record again (a repeat after a crash) is judged as it was and charged once
        before = state.get(key)
        if before == b"1":
            return
        known = state.get(known_key(merchant, reference)) is not None
        if before is None:
            # a replay comes later than it was received, and by then the account has filled again
            now_seconds = max(notification.received_at.timestamp(), record.timestamp_seconds)
            if known:
                account = calls_key(merchant, reference)
                within, after = spend_known(
                    state.get(account), self._budget, now_seconds=now_seconds, offset=record.offset
                )
                state.put(account, after)
                if within:
                    return
            elif self._spend(merchant, now_seconds, state):
                state.put(key, b"1")
                return
            state.put(key, b"0")
        raise Rejected("over_budget", "unsigned calls about this id, or about unknown ones, have used up their budget")

    def _spend(self, merchant: str, now_seconds: float, state: Overlay) -> bool:
        assert self._budget is not None
        account = spending(state.get(account_key(merchant)), self._budget, now_seconds)
        unknown_ids = count(state.get(unknown_key(merchant)))
        within, after = spend(account, self._budget, unknown_ids=unknown_ids, now_seconds=now_seconds)
        state.put(account_key(merchant), after.to_bytes())
        return within

    def _first_seen(self, claim: ParsedNotification, notification: Notification, state: Overlay) -> str | None:
        """The id of the notification this one repeats; remembers this one if it is the first."""
        if claim.duplicate_key is None:
            return None
        key = hashlib.sha256(notification.merchant.encode() + b"\0" + claim.duplicate_key).digest()[:20]
        received = notification.received_at.timestamp()
        known = state.get(key)
        if known is not None:
            first = known[_SEEN.size :].decode()
            # the same record again (a repeat after a crash) is no duplicate of itself
            if (
                first != notification.notification_id
                and abs(received - _SEEN.unpack_from(known)[0]) <= self._window_seconds
            ):
                return first
        state.put(key, _SEEN.pack(received) + notification.notification_id.encode())
        return None

    def _reject(self, record: Record, rejected: Rejected) -> Output:
        self._count("rejected", rejected.reason)
        return ended(record, self._rejected, rejected.reason)

    def _duplicate(self, record: Record, notification: Notification, first: str) -> Output:
        self._count("duplicate")
        headers = cloud_event(
            event_id=notification.notification_id,
            source=f"/verify/{self.provider}",
            event_type=messages.NOTIFICATION_DUPLICATE,
            event_time=record.header("ce_time"),
            traceparent=notification.traceparent,
            duplicate_of=first,
            original_topic=record.topic,
            original_partition=str(record.partition),
            original_offset=str(record.offset),
        )
        return Output(self._duplicates, record.key, b"", headers)

    def _alert(self, record: Record, name: str) -> Output:
        self._count("alert")
        return Output(self._alerts, record.key, record.value, (*record.headers, ("alert", name.encode())))

    def _count(self, outcome: str, reason: str = "") -> None:
        self._outcomes.labels(self.provider, self.name, outcome, reason).inc()


def lookup_output(topic: str, lookup: Lookup, notification: Notification) -> Output:
    """The record that asks for a lookup; the same notification always asks with the same id."""
    key = lookup.merchant if lookup.reference is None else f"{lookup.merchant}/{lookup.reference}"
    headers = cloud_event(
        event_id=derived_id("lookup", notification.notification_id),
        source=f"/verify/{lookup.provider}",
        event_type=messages.LOOKUP_REQUESTED,
        event_time=lookup.received_at,
        traceparent=notification.traceparent,
    )
    return Output(topic, key.encode(), messages.encode(lookup), headers)
