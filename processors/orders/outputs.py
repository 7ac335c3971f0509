"""Turns the effects of an order's transition into records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
from paynotify.schemas.cloudevents import cloud_event
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import HeardOf, Lookup, Observation, OverduePayment
from paynotify.schemas.records import Output

#: The recovery lookup that the provider's rules allow for an order or payment, with its record's key; None if they
#: allow none. Arguments: ``(merchant, order_id, payment_id, cause, at)``.
Recover = Callable[[str, str | None, str | None, str, str], tuple[bytes, Lookup] | None]


class OrderOutputs:
    """Makes the records that orders publish. ``topic`` maps a topic's short name to its full name."""

    def __init__(self, topic: Callable[[str], str], recover: Recover) -> None:
        self._topic = topic
        self._recover = recover

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
        event_id = derived_id("observation", value.decode())
        headers = _headers(event_id, messages.PAYMENT_OBSERVED, effect.at)
        key = f"{order.merchant}/{effect.payment_id}"
        return Output(self._topic(topics.OBSERVATIONS), key.encode(), value, headers)

    def _order_report(self, order: Order, effect: ReportOrder) -> Output:
        report = HeardOf(
            provider=order.provider,
            merchant=order.merchant,
            order_id=order.order_id,
            heard=effect.observed,
            at=effect.at,
            sold_at=effect.sold_at,
        )
        headers = _headers(derived_id("heard", order.name), messages.ORDER_HEARD_OF, effect.at)
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
        headers = _headers(overdue.event_id, messages.PAYMENT_OVERDUE, effect.at)
        return Output(self._topic(topics.OVERDUE), order.name.encode(), messages.encode(overdue), headers)

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
            headers = _headers(derived_id("lookup", f"{cause}/{payment_id}"), messages.LOOKUP_REQUESTED, effect.at)
            yield Output(self._topic(topics.lookups(lookup.provider)), key, value, headers)


def _headers(event_id: str, event_type: str, at: str) -> tuple[tuple[str, bytes], ...]:
    return cloud_event(event_id=event_id, source="/orders", event_type=event_type, event_time=at)
