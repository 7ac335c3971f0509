"""Handles the records of ``payments.charges``: new requests, changes of payments, and due timers.

Limits, and the refusal of a second charge or capture, depend on earlier records. So all of a merchant's records are in
one partition, in one order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from paynotify.processors.charges import state_machine, validation
from paynotify.processors.charges.acceptance import RequestAcceptance, with_amounts
from paynotify.processors.charges.call_results import CallResults
from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.repository import RequestRepository
from paynotify.processors.charges.spending_limits import SpendingCounters
from paynotify.processors.charges.state_machine import ChargeRequest
from paynotify.processors.charges.write_batch import WriteBatch
from paynotify.processors.metrics import Metrics
from paynotify.processors.resolve.transitions import allowed
from paynotify.processors.state import timer_queue
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages
from paynotify.schemas.configuration.merchants import Charges
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import PaymentSeen, RequestedPayment, TimeReached
from paynotify.schemas.records import Record
from paynotify.schemas.status import Status
from paynotify.schemas.times import parse_time, rfc3339

logger = logging.getLogger("paynotify.charge")


class RequestHandler:
    """Handles one batch. ``callable_requests`` names the requests that need a call now, in the order of the topic."""

    def __init__(
        self, context: ChargeContext, writes: WriteBatch, metrics: Metrics, now: Callable[[], datetime]
    ) -> None:
        self.callable_requests: dict[str, None] = {}
        self._context = context
        self._writes = writes
        self._metrics = metrics
        self._now = now
        self._spending = SpendingCounters(writes)
        self._repository = RequestRepository(writes, self._spending, metrics, context.kafka)
        self._acceptance = RequestAcceptance(context, self._repository, self._spending, now)
        self.results = CallResults(context, self._repository, writes, metrics, now)

    def request(self, name: str) -> ChargeRequest | None:
        """The request of that name, if it exists."""
        return self._repository.request(name)

    def put(self, request: ChargeRequest) -> None:
        """Persist the request and publish its new event, if any."""
        self._repository.put(request)

    # --- records -------------------------------------------------------------------------------------------

    def handle(self, record: Record) -> None:
        """Handle one record of ``payments.charges``.

        Raises:
            UnreadableError: the record has an unknown type or cannot be decoded.
        """
        self._repository.cause = record.offset
        kind = record.header("ce_type")
        if kind == messages.REQUEST_MADE:
            self._handle_request(messages.decode(record.value, RequestedPayment), _received_at(record))
        elif kind == messages.PAYMENT_SEEN:
            self._handle_payment(messages.decode(record.value, PaymentSeen))
        elif kind == messages.TIME_REACHED:
            self._handle_timer(messages.decode(record.value, TimeReached))
        else:
            raise UnreadableError("payments.charges has no records of this type")
        self._repository.cause = None

    def _handle_request(self, asked: RequestedPayment, received_at: datetime) -> None:
        provider = self._context.providers.get(asked.merchant)
        if provider is None:
            # nothing is persisted: a producer could invent any number of merchants
            self._repository.publish(
                state_machine.refused(_new(asked, "", received_at, None), "unknown_merchant", received_at)
            )
            return
        known = self._repository.request(f"{asked.merchant}/{asked.request_id}")
        if known is not None:
            self._handle_repeat(known)
            return
        charges = self._context.charges(asked.merchant) if asked.merchant in self._context.accounts else None
        request = _new(asked, provider, received_at, charges)
        reason = self._acceptance.problem(request)
        if reason is not None:
            request = state_machine.refused(request, reason, received_at)
            if validation.well_formed(asked):
                self._repository.put(request)
            else:
                self._repository.publish(request)
            return
        self._accept(request, received_at)

    def _handle_repeat(self, request: ChargeRequest) -> None:
        """Handle a duplicate, by the shop or of an unfinished batch: publish the request's latest event again."""
        if request.running:
            if request.phase == "init":
                self._metrics.orphans.labels(request.provider).inc()
            request = state_machine.resumed(request, self._now())
            self._repository.put(request)
        self._repository.index_uncertain(request)
        self._repository.publish(request)
        self._call(request)

    def _republish(self, request: ChargeRequest) -> None:
        """Repeat what a crash may have cut short, if this is the record that changed the request last."""
        self._repository.index_uncertain(request)
        if request.cause == self._repository.cause:
            self._repository.publish(request)

    def _handle_payment(self, news: PaymentSeen) -> None:
        known = self._repository.payment(news.merchant, news.payment_id)
        # a call of ours may know more: this record came by way of interpret and resolve, or is a repeat
        newer = news.observed_at > known.as_of
        # an operator's word counts whatever the table says, as it does in resolve
        verdict = "changed" if news.corrected and newer else allowed(known.status, news.status, newer=newer)
        if verdict != "refused":
            after = replace(
                known,
                status=news.status if verdict == "changed" else known.status,
                as_of=max(known.as_of, news.observed_at),
                amount=news.amount or known.amount,
                order_id=news.order_id or known.order_id,
            )
            self._repository.put_payment(news.merchant, news.payment_id, after)
        if news.merchant not in self._context.accounts:
            return
        for request_id in dict.fromkeys((known.charged_by, known.closed_by)):
            request = self._repository.request(f"{news.merchant}/{request_id}") if request_id is not None else None
            # a transaction that was opened for it and lost in a crash does not belong to it
            if request is not None and request.payment_id == news.payment_id:
                self._republish(request)
                if verdict != "refused":
                    self._apply_status(request, news.status)

    def _apply_status(self, request: ChargeRequest, status: Status) -> None:
        after = state_machine.observed(request, status, self._now())
        if after != request:
            self._repository.put(after)
            self._call(after)

    def _handle_timer(self, time: TimeReached) -> None:
        request = self._repository.request(time.name)
        due = timer_queue.parse_milliseconds(time.due)
        if request is not None:
            self._republish(request)
        if request is None or request.due != due:
            timer_queue.remove(self._writes, Timer(time.lane, due, time.name))
            return
        if request.running:
            request = state_machine.resumed(request, self._now())
        request = state_machine.timer_fired(request)
        self._repository.put(request)
        self._call(request)

    def _call(self, request: ChargeRequest) -> None:
        if state_machine.next_step(request) is not None and request.asked.merchant in self._context.accounts:
            self.callable_requests[request.name] = None

    def _accept(self, request: ChargeRequest, at: datetime) -> None:
        asked = request.asked
        named = asked.reference_payment_id if request.is_charge else asked.payment_id
        payment = self._repository.payment(asked.merchant, named or "")
        if request.is_charge:
            self._spending.count(request)
            self._repository.set_newest_charge(request)
            request = replace(request, counted=True)
        else:
            request = with_amounts(request, payment)
            self._repository.put_payment(asked.merchant, named or "", replace(payment, closed_by=asked.request_id))
        request = replace(
            request,
            phase="check" if payment.status is None else "init" if request.is_charge else "close",
            due=state_machine.fallback_due(self._now(), self._context.timing(request.asked.merchant)),
        )
        request = state_machine.with_event(request, "received", at)
        self._repository.put(request)
        self._call(request)


def _new(asked: RequestedPayment, provider: str, received_at: datetime, charges: Charges | None) -> ChargeRequest:
    last_seconds = charges.expires_seconds if charges is not None else 0.0
    return ChargeRequest(
        asked=asked,
        provider=provider,
        phase="check",
        received_at=rfc3339(received_at),
        expires_at=asked.expires_at or rfc3339(received_at + timedelta(seconds=last_seconds)),
        day=received_at.date().isoformat(),
        order_id=asked.order_id,
        payment_id=asked.payment_id,
        amount=asked.amount,
    )


def _received_at(record: Record) -> datetime:
    return parse_time(record.header("received-at")) or datetime.fromtimestamp(record.timestamp_seconds, UTC)
