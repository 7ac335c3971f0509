"""verify: authenticates notifications, and turns each into a lookup, a duplicate, an alert or a rejected record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Authenticity, Notification, ParsedNotification, Provider, ProviderAlert
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.tally import Tally
from paynotify.processors.verify.duplicates import DuplicateDetector
from paynotify.processors.verify.unsigned_budget import UnsignedBudget
from paynotify.processors.verify.url_tokens import check_url_token
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import REPLAYED_FROM, STORED_AT, EventHeaders, with_headers
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.worker import UnsignedBudgetSettings
from paynotify.schemas.errors import RejectedNotificationError, UndecidedNotificationError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Lookup
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time, rfc3339, utc_now
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.verify")


def notification_of(record: Record) -> Notification:
    """The notification stored in a record, as the providers read it."""
    headers = record.texts()
    _, _, route = headers.get("ce_source", "").partition("/notifications/")
    provider, _, merchant = route.partition("/")
    received = parse_time(headers.get("ce_time", ""))
    return Notification(
        notification_id=headers.get("ce_id", ""),
        provider=provider,
        merchant=merchant,
        method=headers.get("http-method", "POST"),
        query=headers.get("http-query", ""),
        content_type=headers.get("content-type", ""),
        body=record.value or b"",
        received_at=received or datetime.fromtimestamp(record.timestamp_seconds, UTC),
        traceparent=headers.get("traceparent", ""),
        stored_at=_stored_at(headers, record.timestamp_seconds),
        headers=_stored_headers(provider, headers),
    )


def _stored_headers(provider: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The request's headers that the provider's route stores. One that is no text is empty, and so not valid."""
    contract = provider_contracts().get(provider)
    if contract is None or not contract.route.stored_headers:
        return {}
    wanted = {name.decode() for name in contract.route.stored_headers}
    return {name: text for name, text in headers.items() if name in wanted}


def _stored_at(headers: Mapping[str, str], timestamp_seconds: float) -> datetime | None:
    """When the brokers first stored the notification; None where only the clock of the ingress says when it came.

    A copy that is replayed carries the time of its original: a token that had expired then has expired for good.
    """
    carried = headers.get(STORED_AT, "")
    if carried or headers.get(REPLAYED_FROM):
        return parse_time(carried)
    return datetime.fromtimestamp(timestamp_seconds, UTC) if timestamp_seconds > 0 else None


def _with_stored_at(record: Record) -> Record:
    """The record with the time of its first storing, which its copy on another topic would not show."""
    stored_at = _stored_at(record.texts(), record.timestamp_seconds)
    if stored_at is None:
        return record
    return msgspec.structs.replace(record, headers=with_headers(record.headers, {STORED_AT: rfc3339(stored_at)}))


def authenticate(
    provider: Provider, account: Account[Any], notification: Notification
) -> tuple[ParsedNotification, Authenticity]:
    """Parse the notification, then verify its signature.

    Raises:
        RejectedNotificationError: the notification is malformed or its signature is wrong.
    """
    parsed = provider.parse(notification, account)
    return parsed, provider.verify(parsed, notification, account)


class VerifyStage:
    """The stage for one provider. Its state holds duplicates, known ids and the budget of unsigned notifications."""

    name = "verify"

    def __init__(
        self,
        provider: Provider,
        accounts: Mapping[str, Account[Any]],
        kafka: KafkaSettings,
        metrics: Metrics,
        duplicate_window_seconds: float = 0.0,
        budget: UnsignedBudgetSettings | None = None,
        retry_delays_seconds: Sequence[float] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """``budget`` is one partition's share; without one unsigned notifications are not limited.

        ``retry_delays_seconds`` are the delays of the topics where notifications wait that can't be judged yet.
        """
        self.provider = provider.name
        self._provider = provider
        self._accounts = accounts
        self._window_seconds = duplicate_window_seconds
        self._budget = budget
        self._delays_seconds = retry_delays_seconds
        self._retries = [kafka.topic(name) for name in topics.unverified_steps(provider.name)]
        self._max_retries = provider_contracts()[provider.name].verification_retries
        self._now = now
        self._lookups = kafka.topic(topics.lookups(provider.name))
        source = f"/verify/{provider.name}"
        self._lookup_headers = EventHeaders(kafka.events, source, messages.LOOKUP_REQUESTED)
        self._duplicate_headers = EventHeaders(kafka.events, source, messages.NOTIFICATION_DUPLICATE)
        self._rejected = kafka.topic(topics.REJECTED)
        self._duplicates = kafka.topic(topics.DUPLICATES)
        self._alerts = kafka.topic(topics.ALERTS)
        self._outcomes = Tally(metrics.outcomes, provider.name, self.name)
        self._warnings = Tally(metrics.notification_warnings, provider.name)
        self._provider_alerts = metrics.provider_alerts
        self._last = metrics.last_verified.labels(provider.name)
        self._last_received: datetime | None = None

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """One output for each notification."""
        duplicates = DuplicateDetector(context.state, self._window_seconds)
        try:
            outputs = [self._output(record, context.state, duplicates) for record in context.records]
        finally:
            self._publish_metrics()
        self._log_alerts(
            [record for record, output in zip(context.records, outputs, strict=True) if output.topic == self._alerts]
        )
        return outputs

    def _publish_metrics(self) -> None:
        self._outcomes.publish()
        self._warnings.publish()
        if self._last_received is not None:
            self._last.set(self._last_received.timestamp())

    def _log_alerts(self, alerts: Sequence[Record]) -> None:
        """One line for all of a batch, or unauthenticated callers could fill the log as fast as they can call."""
        if alerts:
            # without the alerts' names: the calls are unsigned, so their text is whatever the caller chose
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
        """A notification whose processing failed unexpectedly is rejected as malformed."""
        letter = self._reject(record, RejectedNotificationError("malformed", "unforeseen"))
        self._publish_metrics()
        return letter

    def _output(self, record: Record, state: Overlay, duplicates: DuplicateDetector) -> Output:
        notification = notification_of(record)
        try:
            parsed, known = self._accepted(notification, record, state)
        except UndecidedNotificationError as undecided:
            return self._wait(record, undecided)
        except RejectedNotificationError as rejected:
            return self._reject(record, rejected)
        for warning in parsed.warnings:
            self._warnings.count(warning)
        if parsed.alert is not None:
            return self._alert(record, parsed.alert)
        self._last_received = notification.received_at
        original = duplicates.original_of(parsed, notification)
        if original is not None:
            return self._duplicate(record, notification, original)
        self._count("lookup")
        lookup = self._provider.plan(parsed, notification)
        return lookup_output(self._lookups, lookup, notification, self._lookup_headers, known=known)

    def _accepted(self, notification: Notification, record: Record, state: Overlay) -> tuple[ParsedNotification, bool]:
        """The parsed notification, once it passed every check, and whether the budget has its id as a known one.

        Raises:
            RejectedNotificationError: it did not pass one of them.
        """
        if not notification.notification_id:
            raise RejectedNotificationError("malformed", "the record has no ce_id")
        account = self._accounts.get(notification.merchant)
        if account is None:
            raise RejectedNotificationError("unknown_merchant", "the configuration has no such merchant")
        if account.merchant.url_tokens:
            check_url_token(record.header("url-token"), account)
        parsed, authenticity = authenticate(self._provider, account, notification)
        # a caller who knows the URL's token is authenticated: no flood may delay the calls of a merchant that has one
        limited = authenticity == "unsigned" and not account.merchant.url_tokens
        if limited and parsed.reference is not None and self._budget is not None:
            return parsed, self._charge(self._budget, parsed.reference, notification, record, state)
        return parsed, False

    def _charge(
        self,
        settings: UnsignedBudgetSettings,
        reference: str,
        notification: Notification,
        record: Record,
        state: Overlay,
    ) -> bool:
        budget = UnsignedBudget(state, settings)
        # by the record's own time where that is later: when it is replayed the bucket has filled again
        now_seconds = max(notification.received_at.timestamp(), record.timestamp_seconds)
        if not budget.charge(
            notification.merchant, reference, notification.notification_id, record.offset, now_seconds
        ):
            raise RejectedNotificationError(
                "over_budget", "the budget of unsigned calls for this id, or for unknown ids, is used up"
            )
        return budget.is_known(notification.merchant, reference)

    def _wait(self, record: Record, undecided: UndecidedNotificationError) -> Output:
        """To a retry topic, or rejected once the tries are used up."""
        tries = record.number("attempts") + 1
        if tries > self._max_retries:
            return self._reject(record, undecided)
        self._count("retry", undecided.reason)
        step = min(tries, len(self._retries)) - 1
        due = self._now() + timedelta(seconds=self._delays_seconds[step])
        waits = {"attempts": str(tries), "not-before": rfc3339(due), "reason": undecided.reason}
        record = _with_stored_at(record)
        return Output(self._retries[step], record.key, record.value, with_headers(record.headers, waits))

    def _reject(self, record: Record, rejected: RejectedNotificationError) -> Output:
        self._count("rejected", rejected.reason)
        tries = record.number("attempts") + 1
        return dead_lettered(_with_stored_at(record), self._rejected, rejected.reason, attempts=tries)

    def _duplicate(self, record: Record, notification: Notification, original: str) -> Output:
        self._count("duplicate")
        headers = self._duplicate_headers(
            notification.notification_id,
            record.header("ce_time"),
            traceparent=notification.traceparent,
            duplicate_of=original,
            original_topic=record.topic,
            original_partition=str(record.partition),
            original_offset=str(record.offset),
        )
        return Output(self._duplicates, record.key, b"", headers)

    def _alert(self, record: Record, alert: ProviderAlert) -> Output:
        self._count("alert")
        self._provider_alerts.labels(self.provider, alert.kind, alert.state).inc()
        about = {"alert": alert.name, "alert-kind": alert.kind, "alert-state": alert.state}
        return Output(self._alerts, record.key, record.value, with_headers(record.headers, about))

    def _count(self, outcome: str, reason: str = "") -> None:
        self._outcomes.count(outcome, reason)


def lookup_output(
    topic: str, lookup: Lookup, notification: Notification, make_headers: EventHeaders, *, known: bool = False
) -> Output:
    """The record that requests a lookup; the same notification always has the same lookup id.

    ``known``: verify knows that the provider knows the id, so fetch need not tell it.
    """
    name = lookup.merchant if lookup.reference is None else f"{lookup.merchant}/{lookup.reference}"
    key = name.encode()
    headers = make_headers(
        derived_id("lookup", notification.notification_id),
        lookup.received_at,
        key,
        traceparent=notification.traceparent,
        known="1" if known else "",
    )
    return Output(topic, key, messages.encode(lookup), headers)
