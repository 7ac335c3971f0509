"""Answers calls about one order or payment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.api.answering import ApiProblemError, answered, as_of
from paynotify.ops.console.api.event_waiters import EventWaiters, TooManyWaitingError
from paynotify.ops.console.api.order_report import order_report
from paynotify.ops.console.api.tokens import ApiCaller
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.payments.explainer import Explainer
from paynotify.ops.console.payments.explanation import Explanation
from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.api.answers import OrderReport, PaymentAnswer
from paynotify.schemas.api.problems import NOT_FOUND, TOO_MANY_WAITING
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.messages import PaymentStatus

#: When a call that could not wait may try again.
_RETRY_SECONDS = 5


class PaymentCalls:
    """Answers from the index, as the pages of orders and payments do. ``age`` tells how far it is behind."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        waiters: EventWaiters,
        age: Callable[[], IndexAge],
    ) -> None:
        self._merchants = {one.id: one for one in configuration.merchants}
        self._queries = queries
        self._explainer = Explainer(configuration, queries)
        self._waiters = waiters
        self._age = age

    async def order(self, request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
        """Whether an order has been paid."""
        merchant, age = self._merchant(caller, given), self._age()
        report = await run_in_threadpool(self._report, merchant, given["order_id"], as_of(age))
        if report is None:
            raise ApiProblemError(
                NOT_FOUND,
                "Nothing is known of this order: it was not registered, and no provider has reported a payment of it.",
            )
        return answered(report, age)

    async def payment(self, request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
        """A payment's newest event; with ``after_sequence`` the next one, once it is there."""
        merchant, payment_id, after = self._merchant(caller, given), given["payment_id"], given["after_sequence"]
        if after is None:
            found = await self._newest(merchant.id, payment_id)
            if found is None:
                raise ApiProblemError(NOT_FOUND, "No event of this payment is known.")
        else:
            found = await self._later(request, caller, given, after)
            if found is None:
                return answered(None, self._age(), 204)
        tag = entity_tag(found)
        if is_among(tag, given["If-None-Match"] or ""):
            return answered(None, self._age(), 304, tag)
        why = await run_in_threadpool(self._explained, merchant, payment_id)
        answer = PaymentAnswer(
            merchant=merchant.id, payment_id=payment_id, sentence=why.sentence, next_at=why.when, event=found
        )
        return answered(answer, self._age(), tag=tag)

    def _merchant(self, caller: ApiCaller, given: Mapping[str, Any]) -> Merchant:
        """The merchant in the path.

        Raises:
            ApiProblemError: it is not configured, or not the caller's to see.
        """
        found = self._merchants.get(given["merchant"])
        if found is None or not caller.sees(found.id):
            raise ApiProblemError(NOT_FOUND, "There is no such merchant, or the token may not see it.")
        return found

    def _report(self, merchant: Merchant, order_id: str, seen_at: str) -> OrderReport | None:
        rows = self._queries.order(merchant.id, order_id)

        def goods(decides: PaymentStatus | None) -> str:
            if decides is not None:
                return self._explained(merchant, decides.payment_id).sentence
            return self._explainer.unreported(merchant, rows).sentence

        return order_report(merchant.id, order_id, rows, goods, seen_at)

    def _explained(self, merchant: Merchant, payment_id: str) -> Explanation:
        return self._explainer.explained(merchant, self._explainer.rows(merchant, payment_id))

    async def _newest(self, merchant: str, payment_id: str) -> PaymentStatus | None:
        return await run_in_threadpool(self._queries.payment, merchant, payment_id)

    async def _later(
        self, request: Request, caller: ApiCaller, given: Mapping[str, Any], after: int
    ) -> PaymentStatus | None:
        """The newest event once its sequence is greater; None if there is none in time, or nobody waits any more."""
        merchant, payment_id = given["merchant"], given["payment_id"]
        loop = asyncio.get_running_loop()
        until_seconds = loop.time() + given["wait_seconds"]
        gone = asyncio.ensure_future(_gone(request))
        try:
            with self._waiters.waiting(caller.name, f"{merchant}/{payment_id}".encode()) as woken:
                while True:
                    woken.clear()
                    found = await self._newest(merchant, payment_id)
                    if found is not None and found.sequence > after:
                        return found
                    left_seconds = until_seconds - loop.time()
                    if left_seconds <= 0 or self._waiters.closed:
                        return None
                    if not await _comes(woken, gone, left_seconds):
                        return None
        except TooManyWaitingError:
            raise ApiProblemError(TOO_MANY_WAITING, "Wait with fewer calls at once.", _RETRY_SECONDS) from None
        finally:
            gone.cancel()


async def _comes(woken: asyncio.Event, gone: asyncio.Future[None], seconds: float) -> bool:
    """Whether the event is set in time, and the caller is still there."""
    waiting = asyncio.ensure_future(woken.wait())
    try:
        await asyncio.wait((waiting, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done() and not gone.done()
    finally:
        waiting.cancel()


async def _gone(request: Request) -> None:
    """Returns when the caller has closed the connection: its place is for another one."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def entity_tag(event: PaymentStatus) -> str:
    """Names the event; weak, as the sentence about it follows from more than the event. A payment that was forgotten
    and reported again counts from 1 again, so the sequence alone would name two events."""
    return f'W/"{event.sequence}-{event.event_id[:8]}"'


def is_among(tag: str, header: str) -> bool:
    """Whether ``If-None-Match`` names the tag. Only the ``W/`` makes no difference."""
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return "*" in named or tag.removeprefix("W/") in named
