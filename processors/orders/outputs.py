"""Turns the effects of an order's transition into records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from paynotify.processors.orders.state_machine import (
    ComparePayment,
    Effect,
    Order,
    PollProvider,
    ReportOrder,
    ReportOverdue,
)
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import HeardOf, Lookup, Observation, OverduePayment
from paynotify.schemas.records import Output

_SOURCE: Final = "/orders"

#: The recovery lookup that the provider's rules allow for an order or payment, with its record's key; None if they
#: allow none. Arguments: ``(merchant, order_id, payment_id, cause, at)``.
Recover = Callable[[str, str | None, str | None, str, str], tuple[bytes, Lookup] | None]


class OrderOutputs:
    """Makes the records that orders publish."""

    def __init__(self, kafka: KafkaSettings, recover: Recover) -> None:
        self._topic = kafka.topic
        self._recover = recover
        self._observed = EventHeaders(kafka.events, _SOURCE, messages.PAYMENT_OBSERVED)
        self._heard_of = EventHeaders(kafka.events, _SOURCE, messages.ORDER_HEARD_OF)
        self._overdue_headers = EventHeaders(kafka.events, _SOURCE, messages.PAYMENT_OVERDUE)
        self._requested = EventHeaders(kafka.events, _SOURCE, messages.LOOKUP_REQUESTED)

    def of(self, order: Order, effect: Effect) -> list[Output]:
        """The effect's records: one each, except for a poll, which has one for each lookup."""
        match effect:
            case ComparePayment():
                return [self._observation(order, effect)]
            case ReportOrder():
                return [self._order_report(order, effect)]
            case ReportOverdue():
                return [self._overdue(order, effect)]
            case PollProvider():
                return list(self._lookups(order, effect))

    def _observation(self, order: Order, effect: ComparePayment) -> Output:
        observation = Observation(
            provider=order.provider,
            merchant=order.merchant,
            payment_id=effect.payment_id,
            order_id=None,
            status=None,
            source="payments.expected",
            observed_at=effect.at,
            expected=effect.expectation,
        )
        value = messages.encode(observation)
        key = f"{order.merchant}/{effect.payment_id}".encode()
        headers = self._observed(derived_id("observation", value.decode()), effect.at, key)
        return Output(self._topic(topics.OBSERVATIONS), key, value, headers)

    def _order_report(self, order: Order, effect: ReportOrder) -> Output:
        report = HeardOf(
            provider=order.provider,
            merchant=order.merchant,
            order_id=order.order_id,
            heard=effect.observed,
            at=effect.at,
            sold_at=effect.sold_at,
        )
        headers = self._heard_of(derived_id("heard", order.name), effect.at, order.name.encode())
        # keyed by the provider alone, so that all its orders are counted in one partition
        return Output(self._topic(topics.ORDERS), order.provider.encode(), messages.encode(report), headers)

    def _overdue(self, order: Order, effect: ReportOverdue) -> Output:
        overdue = OverduePayment(
            event_id="",
            state=effect.state,
            provider=order.provider,
            merchant=order.merchant,
            order_id=order.order_id,
            payment_id=effect.payment_id,
            status=effect.status,
            amount=effect.expected.amount,
            created_at=effect.expected.created_at,
            final_by=effect.expected.final_by or "",
            at=effect.at,
            reason=effect.reason,
        )
        overdue = replace(overdue, event_id=derived_id("overdue", messages.encode(overdue).decode()))
        key = order.name.encode()
        headers = self._overdue_headers(overdue.event_id, effect.at, key)
        return Output(self._topic(topics.OVERDUE), key, messages.encode(overdue), headers)

    def _lookups(self, order: Order, effect: PollProvider) -> Iterator[Output]:
        cause = f"overdue/{order.name}/{effect.poll}"
        published = set()
        for payment_id in effect.payment_ids:
            allowed = self._recover(order.merchant, order.order_id, payment_id, cause, effect.at)
            if allowed is None:
                continue
            key, lookup = allowed
            value = messages.encode(lookup)
            if value in published:
                continue  # the provider finds all payments of an order by the order
            published.add(value)
            headers = self._requested(derived_id("lookup", f"{cause}/{payment_id}"), effect.at, key)
            yield Output(self._topic(topics.lookups(lookup.provider)), key, value, headers)
