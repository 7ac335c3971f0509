"""resolve: merges observations into one status per payment, as gapless events that never go backwards."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.operations_events import operations_output
from paynotify.processors.resolve.noticed import noticed
from paynotify.processors.resolve.payment_state import Advance, PaymentState, encoded
from paynotify.processors.resolve.release import CAPTURED_ONLY, ReleaseRules
from paynotify.processors.resolve.retention import payment_state
from paynotify.processors.resolve.settlement import SettlementLooks
from paynotify.processors.resolve.tombstones import Tombstones
from paynotify.processors.resolve.transitions import advance
from paynotify.processors.runtime import batch_span
from paynotify.processors.runtime.batch_span import exemplar_of
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.tally import Tally
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import ForgetRequested, Observation, PaymentSeen, PaymentStatus
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time, utc_now
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.resolve")

_SOURCE: Final = "/resolve"

#: More than there are, so that none of their metrics is looked up by its labels for each event.
_PROVIDERS: Final = 64


class ResolveStage:
    """The stage for all providers. Its state holds each payment."""

    name = "resolve"
    provider = "all"

    def __init__(
        self,
        kafka: KafkaSettings,
        metrics: Metrics,
        release_rules: Mapping[str, ReleaseRules] = MappingProxyType({}),
        charging: Collection[str] = (),
        looks: SettlementLooks | None = None,
    ) -> None:
        """``release_rules`` are those of each merchant, ``charging`` the merchants whose charges depend on changes of
        their payments. ``looks`` is None where no payment is followed."""
        self._status = kafka.topic(topics.STATUS)
        self._latest = kafka.topic(topics.LATEST)
        self._dead = kafka.topic(topics.DEAD)
        self._orders = kafka.topic(topics.ORDERS)
        self._charges = kafka.topic(topics.CHARGES)
        self._operations = kafka.topic(topics.OPERATIONS)
        self._charging = charging
        self._tombstones = Tombstones(kafka)
        self._status_headers = EventHeaders(kafka.events, _SOURCE, messages.STATUS_CHANGED)
        self._seen_headers = EventHeaders(kafka.events, _SOURCE, messages.PAYMENT_SEEN)
        self._case_headers = EventHeaders(kafka.events, _SOURCE, messages.OPERATIONS_NOTICED)
        self._metrics = metrics
        self._outcomes = Tally(metrics.outcomes)
        self._receive_to_result = lru_cache(maxsize=_PROVIDERS)(metrics.receive_to_result.labels)
        self._release_rules = release_rules
        self._looks = looks
        #: Of the batch being processed, which is processed without a pause.
        self._exemplar: dict[str, str] | None = None

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """At most one event for each observation, on both result topics."""
        self._exemplar = exemplar_of(batch_span.current.get())
        try:
            return [output for record in context.records for output in self._outputs(record, context.state)]
        finally:
            self._outcomes.publish()

    def dead_letter(self, record: Record) -> Output:
        self._metrics.dead_letters.labels(self.provider, self.name, "internal_error").inc()
        return dead_lettered(record, self._dead, "internal_error")

    def _outputs(self, record: Record, state: Overlay) -> list[Output]:
        try:
            kind = record.header("ce_type")
            if self._looks is not None and kind == messages.TIME_REACHED:
                return self._looks.look(record, state)
            if kind == messages.FORGET_REQUESTED:
                return self._forget(record, state)
            observation = messages.decode(record.value, Observation)
        except UnreadableError:
            self._metrics.dead_letters.labels(self.provider, self.name, "unreadable_answer").inc()
            return [dead_lettered(record, self._dead, "unreadable_answer")]
        key = f"{observation.merchant}/{observation.payment_id}".encode()
        known = state.get(key)
        before = payment_state(known)
        after = advance(before, observation, self._release_rules.get(observation.merchant, CAPTURED_ONLY))
        if after.state != before:
            state.put(key, encoded(after.state, last=after.event_bytes))
            if self._looks is not None:
                self._looks.follow(state, key.decode(), before.follows, after.state.follows)
        self._count(before, observation, after)
        changes = self._changes(key, before, observation, after, record)
        cases = noticed(before, observation, after, record)
        return changes + [operations_output(self._operations, one, self._case_headers, record) for one in cases]

    def _forget(self, record: Record, state: Overlay) -> list[Output]:
        """A payment that an operator wants forgotten leaves ``payments.latest``. Its state stays: it numbers the events
        of what the provider may still report."""
        asked = messages.decode(record.value, ForgetRequested)
        key = f"{asked.merchant}/{asked.payment_id}".encode()
        outputs = self._tombstones.requested(key, asked, payment_state(state.get(key)).last)
        self._outcomes.count(asked.provider, self.name, "forgotten" if outputs else "unchanged", "")
        return outputs

    def _changes(
        self, key: bytes, before: PaymentState, observation: Observation, after: Advance, record: Record
    ) -> list[Output]:
        if after.event is None or after.event_bytes is None:
            # without an event an order may still be notified: the one that the payment was registered for since
            return self._notify_orders(before, after.state, after.state.last) if after.state.last else []
        self._measure(record, observation)
        orders = self._notify_orders(before, after.state, after.event)
        return self._events(key, after.event, after.event_bytes, record) + orders + self._notify_charges(after.event)

    def _events(self, key: bytes, changed: PaymentStatus, value: bytes, record: Record) -> list[Output]:
        headers = self._status_headers(
            changed.event_id, changed.observed_at, key, traceparent=record.header("traceparent")
        )
        return [Output(self._status, key, value, headers), Output(self._latest, key, value, headers)]

    def _notify_orders(self, before: PaymentState, after: PaymentState, changed: PaymentStatus) -> list[Output]:
        """Notify the payment's orders: the one that the provider names, and the one that the shop names."""
        told = _to_orders(after, changed)
        if before.last is not None and _to_orders(before, before.last) == told:
            return []
        orders, _ = told
        return [
            self._notice(changed, self._orders, f"{changed.merchant}/{order_id}", order_id, after)
            for order_id in orders
        ]

    def _notify_charges(self, changed: PaymentStatus) -> list[Output]:
        """Notify the charges of its merchant."""
        if changed.merchant not in self._charging:
            return []
        return [self._notice(changed, self._charges, changed.merchant, changed.order_id, None)]

    def _notice(
        self, changed: PaymentStatus, topic: str, key: str, order_id: str | None, state: PaymentState | None
    ) -> Output:
        expected = state.expected if state else None
        seen = PaymentSeen(
            provider=changed.provider,
            merchant=changed.merchant,
            payment_id=changed.payment_id,
            order_id=order_id,
            status=changed.status,
            final=changed.final,
            amount=changed.amount,
            observed_at=changed.observed_at,
            expected=expected,
            sequence=changed.sequence,
            paid=changed.paid,
            settles_by=changed.settles_by,
            order_role=state.order_role if state else "whole",
            corrected=changed.correction is not None,
        )
        event_id = derived_id("seen", changed.event_id, key, expected.said if expected else "")
        payment = f"{changed.merchant}/{changed.payment_id}".encode()
        headers = self._seen_headers(event_id, changed.observed_at, payment)
        return Output(topic, key.encode(), messages.encode(seen), headers)

    def _count(self, before: PaymentState, observation: Observation, after: Advance) -> None:
        provider = observation.provider
        self._outcomes.count(provider, self.name, after.kind, "")
        if after.late_success:
            self._metrics.late_successes.labels(provider).inc()
        if after.money_returned:
            self._metrics.returned_payments.labels(provider).inc()
        if after.over_refunded:
            self._metrics.over_refunds.labels(provider).inc()
        if after.event is not None and after.event.status == "unknown" and observation.status == "unknown":
            self._metrics.unknown_statuses.labels(provider).inc()
        if after.event is not None and after.state.expected is not None:
            self._compare(before, after.event)
        if after.kind == "refused" and before.last is not None and observation.status is not None:
            self._metrics.refused.labels(provider, before.last.status, observation.status).inc()
            self._warn("transition_refused", observation, current=before.last.status, refused=observation.status)

    def _compare(self, before: PaymentState, changed: PaymentStatus) -> None:
        """Count and log a difference from the expectation once, when it is first found."""
        checks, last = changed.checks, before.last.checks if before.last and before.expected else None
        wrong = {"amount": checks.amount == "mismatch", "order": checks.order == "unexpected"}
        for name, differs in wrong.items():
            if differs and (last is None or getattr(last, name) != getattr(checks, name)):
                self._metrics.mismatches.labels(changed.provider, name).inc()
                self._warn("expectation_mismatch", changed, check=name)

    def _warn(self, name: str, about: Observation | PaymentStatus, **details: str) -> None:
        event(
            logger,
            name,
            level=logging.WARNING,
            provider=about.provider,
            merchant=about.merchant,
            payment=about.payment_id,
            **details,
        )

    def _measure(self, record: Record, observation: Observation) -> None:
        received = parse_time(record.header("received-at"))
        if received is not None:
            seconds = (utc_now() - received).total_seconds()
            self._receive_to_result(observation.provider).observe(max(0.0, seconds), self._exemplar)


def _to_orders(state: PaymentState, last: PaymentStatus) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """What is reported to a payment's orders: which orders these are, and what they are told of the payment."""
    named = (last.order_id, state.expected.order_id if state.expected else None)
    orders = tuple(dict.fromkeys(order_id for order_id in named if order_id is not None))
    return orders, (last.status, last.amount, last.paid, last.settles_by, state.order_role)
