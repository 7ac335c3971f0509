"""Builds an operator's correction: the observation that says which status a payment has, who says so and why."""

from __future__ import annotations

from typing import Final

from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ids import time_ordered_id
from paynotify.schemas.messages import Correction, Observation, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from paynotify.schemas.status import Status
from paynotify.schemas.traceparent import new_traceparent

#: The source of an operator's observation and of the event that follows it.
OPERATOR: Final = "OPERATOR"


def observation(
    event: PaymentStatus, status: Status, correction: Correction, at: str, *, amount: Money | None, paid: Money | None
) -> Observation:
    """The correction of the payment with this newest event, made at ``at``."""
    return Observation(
        provider=event.provider,
        merchant=event.merchant,
        payment_id=event.payment_id,
        order_id=None,
        status=status,
        amount=amount,
        paid=paid,
        source=OPERATOR,
        observed_at=at,
        correction=correction,
    )


def output(observed: Observation, kafka: KafkaSettings) -> Output:
    """The correction as a record of ``observations``."""
    key = f"{observed.merchant}/{observed.payment_id}".encode()
    make_headers = EventHeaders(kafka.events, "/paynotify/correct", messages.PAYMENT_OBSERVED)
    headers = make_headers(time_ordered_id(), observed.observed_at, key, traceparent=new_traceparent())
    return Output(kafka.topic(topics.OBSERVATIONS), key, messages.encode(observed), headers)
