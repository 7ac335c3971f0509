"""Publishes a request, and follows it to its outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from paynotify.ops.common.record_sender import RecordSender
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError, UnreadableError
from paynotify.schemas.messages import REQUEST_MADE, Action, PaymentRequest, RequestedPayment, decode, encode
from paynotify.schemas.records import Output
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent
from paynotify.service.tail import Tail

#: The payment statuses that mean success, by action.
_SUCCESSFUL: Final[Mapping[Action, Sequence[str]]] = {
    "charge": ("authorised", "captured"),
    "capture": ("captured",),
    "release": ("cancelled",),
}
_FINAL_STATES: Final = ("refused", "done", "uncertain")
_READ_SECONDS: Final = 0.2


def publish(kafka: KafkaSettings, request: RequestedPayment) -> None:
    """Publish the request; return once the brokers have acknowledged it.

    Raises:
        ClusterUnavailableError: they did not; the text says how to repeat it safely.
    """
    key = f"{request.merchant}/{request.request_id}".encode()
    make_headers = EventHeaders(kafka.events, f"/paynotify/{request.action}", REQUEST_MADE)
    headers = make_headers(request.request_id, rfc3339(), key, traceparent=new_traceparent())
    try:
        with RecordSender(kafka) as sender:
            sender.send(Output(kafka.topic(topics.REQUESTED), key, encode(request), headers))
    except ClusterUnavailableError:
        raise ClusterUnavailableError(
            f"The brokers at {kafka.bootstrap_servers} did not acknowledge the request. Check that they are healthy, "
            f"then repeat it with --request-id {request.request_id}: a repeated id is performed only once."
        ) from None


def follow(tail: Tail, request: RequestedPayment, wait_seconds: float) -> PaymentRequest | None:
    """The request's newest event after at most ``wait_seconds``; None if there was none."""
    newest = None
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline and (newest is None or newest.state not in _FINAL_STATES):
        for record in tail.read(_READ_SECONDS):
            try:
                event = decode(record.value, PaymentRequest)
            except UnreadableError:  # written by a later version: not an event of this request
                continue
            if (event.merchant, event.request_id) == (request.merchant, request.request_id):
                newest = event
    return newest


def succeeded(outcome: PaymentRequest | None) -> bool:
    """Whether the request had the outcome that it asked for."""
    return outcome is not None and outcome.state == "done" and outcome.status in _SUCCESSFUL[outcome.action]
