"""Repository of charge requests and of the payments they refer to.

State keys: ``request`` by name, ``payment`` by merchant and the provider's id, ``order`` (its newest charge),
``uncertain`` (an index), and those of the timer queue.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from msgspec.structs import replace

from paynotify.processors.charges.spending_limits import SpendingCounters
from paynotify.processors.charges.state_machine import ChargeRequest
from paynotify.processors.charges.validation import KnownPayment
from paynotify.processors.charges.write_batch import WriteBatch
from paynotify.processors.metrics import Metrics
from paynotify.processors.state import timer_queue
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.records import Output
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.charge")

#: Prefix of the index of uncertain requests.
UNCERTAIN: Final = b"uncertain\0"

_REQUEST: Final = msgspec.json.Decoder(ChargeRequest)
_KNOWN: Final = msgspec.json.Decoder(KnownPayment)
_ENCODER: Final = msgspec.json.Encoder()


def lane(merchant: str) -> str:
    """The timer queue of a merchant's requests."""
    return f"charge/{merchant}"


class RequestRepository:
    """Reads and writes of one batch. ``cause`` is the offset of the record in progress, if any."""

    def __init__(self, writes: WriteBatch, spending: SpendingCounters, metrics: Metrics, kafka: KafkaSettings) -> None:
        self.cause: int | None = None
        #: Those read or written in this batch, so that each is decoded once.
        self._requests: dict[str, ChargeRequest] = {}
        self._writes = writes
        self._spending = spending
        self._metrics = metrics
        self._topic = kafka.topic(topics.REQUESTS)
        self._headers = EventHeaders(kafka.events, "/charge", messages.REQUEST_ANSWERED)

    def request(self, name: str) -> ChargeRequest | None:
        """The request of that name, if it exists."""
        known = self._requests.get(name)
        if known is None:
            value = self._writes.get(_request_key(name))
            if value is None:
                return None
            known = self._requests[name] = _REQUEST.decode(value)
        return known

    def put(self, request: ChargeRequest) -> None:
        """Persist the request, its timer and its share of the limits, and publish its new event, if any."""
        before = self.request(request.name)
        if self.cause is not None:
            request = replace(request, cause=self.cause)
        late = before is not None and before.ended and before.without_money and not request.without_money
        if late and request.is_charge:
            self._spending.count(request)
            request = replace(request, counted=True)
        if request.counted and request.without_money:
            self._spending.give_back(request)
            request = replace(request, counted=False)
        planned = before.due if before is not None else None
        self._requests[request.name] = request
        self._writes.put_request(_request_key(request.name), _ENCODER.encode(request))
        self._plan(request, planned)
        if before is None or request.uncertain != before.uncertain:
            self.index_uncertain(request)
        if before is None or request.told != before.told:
            self._measure(request)
            self.publish(request)

    def _plan(self, request: ChargeRequest, planned: int | None) -> None:
        if request.due == planned:
            return
        place = lane(request.asked.merchant)
        if request.due is not None:
            timer_queue.add(self._writes, Timer(place, request.due, request.name))
        if planned is not None:
            timer_queue.remove(self._writes, Timer(place, planned, request.name))

    def index_uncertain(self, request: ChargeRequest) -> None:
        """Add the request to the index of uncertain requests, or remove it."""
        key = UNCERTAIN + request.name.encode()
        listed = self._writes.get(key) is not None
        if request.uncertain and not listed:
            self._writes.put(key, b"1")
        elif listed and not request.uncertain:
            self._writes.delete(key)

    def newest_charge(self, request: ChargeRequest) -> ChargeRequest | None:
        """The order's newest earlier charge."""
        value = self._writes.get(_order_key(request))
        return self.request(f"{request.asked.merchant}/{value.decode()}") if value is not None else None

    def set_newest_charge(self, request: ChargeRequest) -> None:
        """Record this request as the order's newest charge."""
        self._writes.put(_order_key(request), request.asked.request_id.encode())

    def payment(self, merchant: str, payment_id: str) -> KnownPayment:
        """What is known of the payment; an empty value if it was never observed."""
        value = self._writes.get(_payment_key(merchant, payment_id))
        return _KNOWN.decode(value) if value is not None else KnownPayment()

    def put_payment(self, merchant: str, payment_id: str, known: KnownPayment) -> None:
        """Persist what is known of the payment."""
        self._writes.put(_payment_key(merchant, payment_id), _ENCODER.encode(known))

    def publish(self, request: ChargeRequest) -> None:
        """Publish the request's latest event. Idempotent: a repeat has the same event id."""
        latest = request.told
        if latest is None:
            return
        key = request.name.encode()
        headers = self._headers(latest.event_id, latest.at, key)
        self._writes.publish_after(Output(self._topic, key, messages.encode(latest), headers))

    def _measure(self, request: ChargeRequest) -> None:
        latest = request.told
        if latest is None:
            return
        self._metrics.requests.labels(latest.provider, latest.action, latest.state, latest.reason or "").inc()
        if latest.state == "uncertain":
            event(
                logger,
                "request_uncertain",
                level=logging.ERROR,
                provider=latest.provider,
                merchant=latest.merchant,
                payment=latest.payment_id,
                reason=latest.reason,
            )


def _request_key(name: str) -> bytes:
    return b"request\0" + name.encode()


def _payment_key(merchant: str, payment_id: str) -> bytes:
    return b"payment\0" + f"{merchant}/{payment_id}".encode()


def _order_key(request: ChargeRequest) -> bytes:
    return b"order\0" + f"{request.asked.merchant}/{request.asked.order_id}".encode()
