"""The requests as they are kept and told of, and what is known of the payments they are about.

State keys: ``request`` by name, ``payment`` by merchant and the provider's id, ``order`` (its newest charge),
``uncertain`` (an index), and the agenda's.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import msgspec

from processors.charges.spending_limits import SpendingCounters
from processors.charges.state_machine import ChargeRequest
from processors.charges.validation import KnownPayment
from processors.charges.write_batch import WriteBatch
from processors.metrics import Metrics
from processors.state import timer_queue
from processors.state.timer_queue import Timer
from schemas import messages
from schemas.cloudevents import cloud_event
from schemas.records import Output
from service.logs import event

logger = logging.getLogger("paynotify.charge")

#: Where the uncertain requests are listed.
UNCERTAIN: Final = b"uncertain\0"

_REQUEST: Final = msgspec.json.Decoder(ChargeRequest)
_KNOWN: Final = msgspec.json.Decoder(KnownPayment)


def lane(merchant: str) -> str:
    """The agenda's lane for all that a merchant's requests wait for."""
    return f"charge/{merchant}"


class RequestRepository:
    """One batch's view of it. ``cause`` is the offset of the log's record at work, if one is."""

    def __init__(self, journal: WriteBatch, spending: SpendingCounters, metrics: Metrics, topic: str) -> None:
        self.cause: int | None = None
        self._journal = journal
        self._spending = spending
        self._metrics = metrics
        self._topic = topic

    def request(self, name: str) -> ChargeRequest | None:
        """The request, if it was made."""
        value = self._journal.get(_request_key(name))
        return _REQUEST.decode(value) if value is not None else None

    def put(self, request: ChargeRequest) -> None:
        """Keep the request, its place on the agenda and in the limits, and tell what is new of it."""
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
        self._journal.decide(_request_key(request.name), messages.encode(request))
        self._plan(request, planned)
        self.list(request)
        if before is None or request.told != before.told:
            self._measure(request)
            self.say(request)

    def _plan(self, request: ChargeRequest, planned: int | None) -> None:
        if request.due == planned:
            return
        place = lane(request.asked.merchant)
        if request.due is not None:
            timer_queue.add(self._journal, Timer(place, request.due, request.name))
        if planned is not None:
            timer_queue.remove(self._journal, Timer(place, planned, request.name))

    def list(self, request: ChargeRequest) -> None:
        """Have the request among the uncertain ones, if it is."""
        key = UNCERTAIN + request.name.encode()
        listed = self._journal.get(key) is not None
        if request.uncertain and not listed:
            self._journal.put(key, b"1")
        elif listed and not request.uncertain:
            self._journal.remove(key)

    def newest_charge(self, request: ChargeRequest) -> ChargeRequest | None:
        """The order's newest charge before this one."""
        value = self._journal.get(_order_key(request))
        return self.request(f"{request.asked.merchant}/{value.decode()}") if value is not None else None

    def newest_charge_is(self, request: ChargeRequest) -> None:
        """From now on this is the order's newest charge."""
        self._journal.put(_order_key(request), request.asked.request_id.encode())

    def payment(self, merchant: str, payment_id: str) -> KnownPayment:
        """What is known of the payment; nothing, if nothing was heard of it."""
        value = self._journal.get(_payment_key(merchant, payment_id))
        return _KNOWN.decode(value) if value is not None else KnownPayment()

    def know(self, merchant: str, payment_id: str, known: KnownPayment) -> None:
        """Keep what is known of the payment."""
        self._journal.put(_payment_key(merchant, payment_id), messages.encode(known))

    def say(self, request: ChargeRequest) -> None:
        """Tell what was told last; once more, if it was told before."""
        said = request.told
        if said is None:
            return
        headers = cloud_event(
            event_id=said.event_id, source="/charge", event_type=messages.REQUEST_ANSWERED, event_time=said.at
        )
        key = request.name.encode()
        self._journal.say(Output(self._topic, key, messages.encode(said), headers))

    def _measure(self, request: ChargeRequest) -> None:
        said = request.told
        if said is None:
            return
        self._metrics.requests.labels(said.provider, said.action, said.state, said.reason or "").inc()
        if said.state == "uncertain":
            event(
                logger,
                "request_uncertain",
                level=logging.ERROR,
                provider=said.provider,
                merchant=said.merchant,
                payment=said.payment_id,
                reason=said.reason,
            )


def _request_key(name: str) -> bytes:
    return b"request\0" + name.encode()


def _payment_key(merchant: str, payment_id: str) -> bytes:
    return b"payment\0" + f"{merchant}/{payment_id}".encode()


def _order_key(request: ChargeRequest) -> bytes:
    return b"order\0" + f"{request.asked.merchant}/{request.asked.order_id}".encode()
