"""Handles the records of ``payments.charges``: new requests, changes of payments, and due timers.

Limits, and the refusal of a second charge or capture, depend on earlier records. So all of a merchant's records are in
one partition, in one order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from processors.charges import state_machine, validation
from processors.charges.repository import RequestRepository
from processors.charges.spending_limits import SpendingCounters
from processors.charges.state_machine import ChargeRequest, NextStep, ProviderReport, Timing
from processors.charges.validation import KnownPayment
from processors.charges.write_batch import WriteBatch
from processors.metrics import Metrics
from processors.providers.account import Account
from processors.providers.charging import ChargeGateway, ChargeOpened, ChargeReport, NotDone
from processors.providers.outcomes import Unknown
from processors.providers.response_record import response_record
from processors.resolve.transitions import allowed
from processors.state import timer_queue
from processors.state.timer_queue import Timer
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.merchants import Charges, ChargingMerchant
from schemas.configuration.model import KafkaSettings
from schemas.errors import UnreadableError
from schemas.ids import derived_id
from schemas.messages import KNOWN, Expectation, Observation, PaymentSeen, RequestedPayment, TimeReached
from schemas.reasons import RequestReason
from schemas.records import Output, Record
from schemas.status import Status
from schemas.times import parse_time, rfc3339
from service.logs import event

logger = logging.getLogger("paynotify.charge")

#: Reasons that only a person can fix, or that nobody foresaw.
_NEEDS_A_PERSON: Final[frozenset[RequestReason]] = frozenset(
    {
        "credentials",
        "address",
        "configuration",
        "provider_code",
        "inactive_store",
        "unknown_store",
        "inactive_provider",
        "unknown_provider",
        "provider_settings",
        "parameters",
    }
)


@dataclass(frozen=True, slots=True)
class ChargeContext:
    """What the handler needs: ``accounts`` of merchants that may charge, ``gateways`` by provider, and each
    merchant's provider."""

    accounts: Mapping[str, Account[ChargingMerchant]]
    gateways: Mapping[str, ChargeGateway]
    providers: Mapping[str, str]
    kafka: KafkaSettings

    def charges(self, merchant: str) -> Charges:
        """The merchant's settings for charges."""
        charges = self.accounts[merchant].merchant.charges
        assert charges is not None
        return charges


class RequestHandler:
    """One batch's records. ``called`` are those for which something is to be done now, in the order of the log."""

    def __init__(
        self, context: ChargeContext, writes: WriteBatch, metrics: Metrics, now: Callable[[], datetime]
    ) -> None:
        self.callable_requests: dict[str, None] = {}
        self._context = context
        self._writes = writes
        self._metrics = metrics
        self._now = now
        self._topic = context.kafka.topic
        self._spending = SpendingCounters(writes)
        self._repository = RequestRepository(writes, self._spending, metrics, self._topic(topics.REQUESTS))

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
        reason = self._problem(request)
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
        verdict = allowed(known.status, news.status, newer=news.observed_at > known.as_of)
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

    # --- validation ----------------------------------------------------------------------------------------

    def _problem(self, request: ChargeRequest) -> RequestReason | None:
        """Why the request cannot be started, as far as is known now. Nothing has been counted for it yet."""
        asked = request.asked
        account = self._context.accounts.get(asked.merchant)
        if account is None:
            return "not_enabled"
        if not validation.well_formed(asked):
            return "bad_request"
        problem = self._context.gateways[request.provider].problem(asked, account)
        if problem is not None:
            return problem
        if state_machine.expired(request, self._now()):
            return "expired"
        return self._charge_problem(request) if request.is_charge else self._closing_problem(request)

    def _charge_problem(self, request: ChargeRequest) -> RequestReason | None:
        asked, amount = request.asked, request.amount
        assert amount is not None
        charged = self._repository.newest_charge(request)
        if charged is not None and not charged.without_money and not asked.again:
            return "order_already_charged"
        reference = self._repository.payment(asked.merchant, asked.reference_payment_id or "")
        if reference.status is not None:
            problem = validation.reference_problem(amount, reference)
            if problem is not None:
                return problem
        limits = self._context.charges(asked.merchant).limits
        return validation.over_limit(
            amount, limits, self._spending.on_reference(request), self._spending.on_day(request)
        )

    def _closing_problem(self, request: ChargeRequest) -> RequestReason | None:
        asked = request.asked
        payment = self._repository.payment(asked.merchant, asked.payment_id or "")
        for request_id in (payment.closed_by, payment.charged_by):
            closer = self._repository.request(f"{asked.merchant}/{request_id}") if request_id is not None else None
            if closer is not None and _closes(closer, payment_id=asked.payment_id):
                return "already_closing"
        return validation.closing_problem(asked.amount, payment) if payment.status is not None else None

    def _accept(self, request: ChargeRequest, at: datetime) -> None:
        asked = request.asked
        named = asked.reference_payment_id if request.is_charge else asked.payment_id
        payment = self._repository.payment(asked.merchant, named or "")
        if request.is_charge:
            self._spending.count(request)
            self._repository.set_newest_charge(request)
            request = replace(request, counted=True)
        else:
            request = _with_amounts(request, payment)
            self._repository.put_payment(asked.merchant, named or "", replace(payment, closed_by=asked.request_id))
        request = replace(
            request,
            phase="check" if payment.status is None else "init" if request.is_charge else "close",
            due=state_machine.fallback_due(self._now(), self.timing(request)),
        )
        request = state_machine.with_event(request, "received", at)
        self._repository.put(request)
        self._call(request)

    def _checked(self, request: ChargeRequest, report: ChargeReport) -> ChargeRequest:
        """Continue the validation: the payment that the request names is known now."""
        asked, now = request.asked, self._now()
        payment = self._repository.payment(asked.merchant, asked.reference_payment_id or asked.payment_id or "")
        if request.is_charge:
            assert request.amount is not None
            problem = validation.reference_problem(request.amount, payment)
        else:
            problem = validation.closing_problem(asked.amount, payment)
            request = _with_amounts(request, payment)
        if problem is not None:
            return state_machine.refused(request, problem, now)
        return replace(request, phase="init" if request.is_charge else "close", running=False, tries=0)

    # --- calls ---------------------------------------------------------------------------------------------

    def timing(self, request: ChargeRequest) -> Timing:
        charges = self._context.charges(request.asked.merchant)
        return Timing(charges.poll_schedule_seconds, charges.call_timeout_seconds, charges.close_settles_seconds)

    def register_expectation(self, request: ChargeRequest, step: NextStep) -> None:
        """Register with resolve what the payment should be, before it exists or changes."""
        asked = request.asked
        if step == "start" and request.amount is not None and request.order_id is not None:
            self._observe(request, Expectation(order_id=request.order_id, amount=request.amount), capturing=False)
        elif step == "close" and asked.action == "capture" and request.amount is not None:
            # also for the whole amount: an earlier request for a part may have been refused
            named = asked.amount is not None or self._charged_here(request)
            order_id = request.order_id if named else None
            expected = Expectation(order_id=order_id, amount=request.amount) if order_id is not None else None
            self._observe(request, expected, capturing=True)

    def record_report(self, request: ChargeRequest, step: NextStep, report: ProviderReport) -> None:
        """Persist a call's response and its consequences."""
        now = self._now()
        if isinstance(report, ChargeReport):
            self._record_payment(request, step, report)
        elif isinstance(report, ChargeOpened):
            known = KnownPayment(amount=request.amount, order_id=request.order_id, charged_by=request.asked.request_id)
            self._repository.put_payment(request.asked.merchant, report.payment_id, known)
            if self._context.gateways[request.provider].unsigned:
                key = f"{request.asked.merchant}/{report.payment_id}".encode()
                self._writes.publish_before(Output(self._topic(topics.known(request.provider)), key, KNOWN, ()))
        else:
            self._log_problem(request, step, report)
        if step == "check" and isinstance(report, ChargeReport):
            self._repository.put(self._checked(request, report))
        else:
            self._repository.put(state_machine.reported(request, step, report, now, self.timing(request)))

    def _record_payment(self, request: ChargeRequest, step: NextStep, report: ChargeReport) -> None:
        merchant, payment_id = request.asked.merchant, report.response.reference or ""
        known = self._repository.payment(merchant, payment_id)
        amount = known.amount or report.amount if step == "close" else report.amount or known.amount
        self._repository.put_payment(
            merchant,
            payment_id,
            replace(
                known,
                status=report.status,
                as_of=max(known.as_of, report.observed_at),
                amount=amount,
                order_id=report.order_id or known.order_id,
            ),
        )
        # a payment that was only looked up, perhaps years old, must not become news for a warehouse
        if step != "check":
            topic = self._topic(topics.responses(request.provider))
            self._writes.publish_before(response_record(topic, request.provider, merchant, report.response))

    def _log_problem(self, request: ChargeRequest, step: NextStep, report: NotDone | Unknown[RequestReason]) -> None:
        if step == "init" and report.reason == "no_answer":
            self._metrics.orphans.labels(request.provider).inc()
        if report.reason in _NEEDS_A_PERSON:
            event(
                logger,
                "charge_not_carried_out",
                level=logging.ERROR,
                provider=request.provider,
                merchant=request.asked.merchant,
                step=step,
                reason=report.reason,
            )

    def _charged_here(self, request: ChargeRequest) -> bool:
        return self._repository.payment(request.asked.merchant, request.payment_id or "").charged_by is not None

    def _observe(self, request: ChargeRequest, expected: Expectation | None, *, capturing: bool) -> None:
        assert request.payment_id is not None
        said = Observation(
            provider=request.provider,
            merchant=request.asked.merchant,
            payment_id=request.payment_id,
            order_id=None,
            status=None,
            source="charge",
            observed_at=request.called_at,
            expected=expected,
            capturing=request.amount if capturing else None,
        )
        value = messages.encode(said)
        headers = cloud_event(
            event_id=derived_id("observation", value.decode()),
            source="/charge",
            event_type=messages.PAYMENT_OBSERVED,
            event_time=request.called_at,
        )
        key = f"{said.merchant}/{said.payment_id}".encode()
        self._writes.publish_before(Output(self._topic(topics.OBSERVATIONS), key, value, headers))


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


def _with_amounts(request: ChargeRequest, payment: KnownPayment) -> ChargeRequest:
    """A capture or void with the amounts of its payment."""
    return replace(
        request, amount=request.asked.amount or payment.amount, authorised=payment.amount, order_id=payment.order_id
    )


def _closes(earlier: ChargeRequest, *, payment_id: str | None) -> bool:
    """Whether an earlier request has closed the payment or still may. A charge with ``capture: now`` closes it too."""
    if earlier.payment_id != payment_id or (earlier.is_charge and earlier.asked.capture != "now"):
        return False
    nothing_taken = earlier.without_money if earlier.is_charge else earlier.phase == "refused"
    return not earlier.ended or not (nothing_taken or earlier.status == "authorised")


def _received_at(record: Record) -> datetime:
    return parse_time(record.header("received-at")) or datetime.fromtimestamp(record.timestamp_seconds, UTC)
