"""Takes a payment off ``payments.latest``: resolve writes the tombstone, as it alone writes to that topic.

A tombstone of this command's own could come after an event that resolve publishes at the same moment, and hide it.
"""

from __future__ import annotations

from paynotify.ops.common.record_sender import RecordSender
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import ForgetRequested, PaymentStatus
from paynotify.schemas.records import Output
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent


def request_tombstone(kafka: KafkaSettings, newest: PaymentStatus) -> None:
    """Ask resolve for the tombstone. Returns when the brokers have the request.

    Raises:
        ClusterUnavailableError: they did not acknowledge it.
    """
    with RecordSender(
        kafka,
        client_id="paynotify-forget",
        what="the request to forget the payment, so nothing was deleted",
        remedy="start again",
    ) as sender:
        sender.send(forget_output(kafka, newest))


def forget_output(kafka: KafkaSettings, newest: PaymentStatus) -> Output:
    """The request as a record of ``observations``."""
    asked = ForgetRequested(
        provider=newest.provider, merchant=newest.merchant, payment_id=newest.payment_id, sequence=newest.sequence
    )
    key = f"{newest.merchant}/{newest.payment_id}".encode()
    make_headers = EventHeaders(kafka.events, "/paynotify/forget", messages.FORGET_REQUESTED)
    event_id = derived_id("forget requested", newest.event_id)
    headers = make_headers(event_id, rfc3339(), key, traceparent=new_traceparent())
    return Output(kafka.topic(topics.OBSERVATIONS), key, messages.encode(asked), headers)
