"""Records what a call is about to do, and what its response means, for the request and its payment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from paynotify.processors.charges import state_machine, validation
from paynotify.processors.charges.acceptance import with_amounts
from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.repository import RequestRepository
from paynotify.processors.charges.state_machine import ChargeRequest, NextStep, ProviderReport
from paynotify.processors.charges.validation import KnownPayment
from paynotify.processors.charges.write_batch import WriteBatch
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.charging import ChargeOpened, ChargeReport, NotDone
from paynotify.processors.providers.outcomes import Unknown
from paynotify.processors.providers.response_record import response_record
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import KNOWN, Expectation, Observation
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.records import Output
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.charge")

#: Reasons that only a person can fix, or that are unexpected.
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


class CallResults:
    """Writes of one batch that come from calls to the gateway."""

    def __init__(
        self,
        context: ChargeContext,
        repository: RequestRepository,
        writes: WriteBatch,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._context = context
        self._repository = repository
        self._writes = writes
        self._metrics = metrics
        self._now = now
        self._topic = context.kafka.topic
        self._events = context.kafka.events
        self._headers = EventHeaders(self._events, "/charge", messages.PAYMENT_OBSERVED)

    def before_call(self, request: ChargeRequest, step: NextStep) -> None:
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

    def after_call(self, request: ChargeRequest, step: NextStep, report: ProviderReport) -> ChargeRequest:
        """The request after a call's response, whose consequences for its payment are persisted."""
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
            return self._checked(request, report)
        return state_machine.reported(request, step, report, now, self._context.timing(request.asked.merchant))

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
        # a payment that was only looked up, perhaps years old, must not cause an event
        if step != "check":
            topic = self._topic(topics.responses(request.provider))
            stored = response_record(topic, request.provider, merchant, report.response, events=self._events)
            self._writes.publish_before(stored)

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
        key = f"{said.merchant}/{said.payment_id}".encode()
        headers = self._headers(derived_id("observation", value.decode()), request.called_at, key)
        self._writes.publish_before(Output(self._topic(topics.OBSERVATIONS), key, value, headers))

    def _checked(self, request: ChargeRequest, report: ChargeReport) -> ChargeRequest:
        """Continue the validation: the payment that the request names is known now."""
        asked, now = request.asked, self._now()
        payment = self._repository.payment(asked.merchant, asked.reference_payment_id or asked.payment_id or "")
        if request.is_charge:
            assert request.amount is not None
            problem = validation.reference_problem(request.amount, payment)
        else:
            problem = validation.closing_problem(asked.amount, payment)
            request = with_amounts(request, payment)
        if problem is not None:
            return state_machine.refused(request, problem, now)
        return replace(request, phase="init" if request.is_charge else "close", running=False, tries=0)
