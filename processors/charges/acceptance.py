"""Decides whether a new request may be started, from the stored requests, payments and limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from paynotify.processors.charges import state_machine, validation
from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.repository import RequestRepository
from paynotify.processors.charges.spending_limits import SpendingCounters
from paynotify.processors.charges.state_machine import ChargeRequest
from paynotify.processors.charges.validation import KnownPayment
from paynotify.schemas.reasons import RequestReason


class RequestAcceptance:
    """Why a request may not be started, if it may not. Reads state and writes none."""

    def __init__(
        self,
        context: ChargeContext,
        repository: RequestRepository,
        spending: SpendingCounters,
        now: Callable[[], datetime],
    ) -> None:
        self._context = context
        self._repository = repository
        self._spending = spending
        self._now = now

    def problem(self, request: ChargeRequest) -> RequestReason | None:
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


def with_amounts(request: ChargeRequest, payment: KnownPayment) -> ChargeRequest:
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
