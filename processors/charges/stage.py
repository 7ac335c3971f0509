"""charge: carries out the charges, captures and voids that shops request, each at most once.

The stage's topic, ``payments.charges``, holds each merchant's requests, the changes of its payments, and due timers
(`processors.runtime.timers`). `processors.charges.state_machine` decides what happens next. Within step 2 of the stage
loop (`processors.runtime.loop`) each call to a provider has steps of its own, repeated for every call. Requests that
are ready at the same time share steps 7 to 9 (`processors.charges.write_batch`):

7. the responses so far are acknowledged by the brokers (``responses.<provider>``, and ``observations``)
8. the requests are persisted, each with the call that is about to be made, so that it is never taken for one not made
9. the events for the shops are acknowledged by the brokers (``payments.requests``)
10. the provider was called, and nothing of its response is durable yet

A crash after any of them repeats the batch. A request whose call was in progress is then looked up (``truth``) and
never simply called again; only the opening of a transaction, which moves no money, is repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Final

from paynotify.processors.charges import state_machine
from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.repository import UNCERTAIN, lane
from paynotify.processors.charges.request_handler import RequestHandler
from paynotify.processors.charges.state_machine import ChargeRequest, NextStep, ProviderReport
from paynotify.processors.charges.write_batch import WriteBatch
from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.charging import (
    CaptureOrVoid,
    ChargeGateway,
    ChargeOpened,
    ChargeOrder,
    ChargeReport,
)
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.processors.runtime.batch_span import begin_call, end_call, exemplar_of
from paynotify.processors.runtime.failpoints import Failpoint, Reached, ignore
from paynotify.processors.runtime.progress import report_progress
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state.store import SortedKeys
from paynotify.schemas import topics
from paynotify.schemas.configuration.events import DEFAULT_EVENTS, EventSettings
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import utc_now

_MAX_COUNTED: Final = 10_000

#: How a call ended, as a metric label. Alerts and dashboards depend on these words.
_OUTCOMES: Final[Mapping[type[ProviderReport], str]] = {
    ChargeOpened: "opened",
    ChargeReport: "reported",
    Failed: "rejected",
    RetryLater: "delayed",
    Unknown: "unknown",
}


_SUCCEEDED: Final = frozenset({"opened", "reported"})


class ChargeTimers(TimerService):
    """The merchants' timers, each limited by its quota. Also counts the uncertain requests."""

    def __init__(
        self,
        topic: str,
        allowances: Mapping[str, HourlyQuota | None],
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        events: EventSettings = DEFAULT_EVENTS,
    ) -> None:
        lanes = {lane(merchant): allowance for merchant, allowance in allowances.items()}
        super().__init__(topic, lanes, lambda entry: entry.name.partition("/")[0], now, events=events)
        self._uncertain = metrics.uncertain

    def due_records(self, partition: int, state: SortedKeys) -> Sequence[Output]:
        uncertain = state.keys(UNCERTAIN, UNCERTAIN + b"\xff", _MAX_COUNTED)
        self._uncertain.labels(str(partition)).set(len(uncertain))
        return super().due_records(partition, state)

    def revoked(self, partition: int) -> None:
        # otherwise this process would report them for as long as it lives, whatever the next owner finds out
        self._uncertain.remove(str(partition))


class ChargeStage:
    """The stage for all providers that charge. Its state: requests, payments, and counters of the limits."""

    name = "charge"
    provider = "all"

    def __init__(
        self, context: ChargeContext, call_context: CallContext, metrics: Metrics, *, reached: Reached = ignore
    ) -> None:
        self._context = context
        self._call_context = call_context
        self._metrics = metrics
        # the metrics of every call: each look-up of a label's counter takes a lock
        self._calls_ended = cache(metrics.calls.labels)
        self._call_seconds = cache(metrics.fetch_seconds.labels)
        self._reached: Callable[[Failpoint], None] = partial(reached, f"{self.name}.{self.provider}")

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Handle the batch's records in order, then advance every request they concern as far as possible.

        Requests advance concurrently, so others wait at most for one request's four calls (the initial payment's state
        or the opening, the start, the closing, and a poll), each limited by its timeout. The batch size limits the
        number of concurrent calls.
        """
        writes = WriteBatch(context.state, context.publish, self._reached)
        handler = RequestHandler(self._context, writes, self._metrics, self._call_context.now)
        for record in context.records:
            handler.handle(record)
        results = await asyncio.gather(
            *(self._advance(name, handler, writes) for name in handler.callable_requests), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                # only after all calls ended: the batch is repeated, and none of its calls may still run then
                raise result
        await writes.write()
        return ()

    def dead_letter(self, record: Record) -> Output:
        self._metrics.dead_letters.labels(self.provider, self.name, "internal_error").inc()
        return dead_lettered(record, self._context.kafka.topic(topics.DEAD), "internal_error")

    async def _advance(self, name: str, handler: RequestHandler, writes: WriteBatch) -> None:
        """Advance the request step by step until it has ended or must wait."""
        request = handler.request(name)
        assert request is not None
        while (step := state_machine.next_step(request)) is not None:
            now = self._call_context.now()
            if state_machine.too_late(request, step, now):
                handler.put(state_machine.refused(request, "expired", now))
                break
            if step in state_machine.INTENDED:
                request = state_machine.with_intention(request, step, now, self._context.timing(request.asked.merchant))
                handler.results.before_call(request, step)
                handler.put(request)
                await writes.write()
            report = await self._call(request, step)
            self._reached(Failpoint.PROVIDER_CALLED)
            request = handler.results.after_call(request, step, report)
            if state_machine.next_step(request) not in state_machine.INTENDED:
                handler.put(request)  # otherwise with the intention that follows, as one change
        await writes.write()

    async def _call(self, request: ChargeRequest, step: NextStep) -> ProviderReport:
        started = time.monotonic()
        span = begin_call(request.provider, request.asked.merchant, step)
        outcome = "unexpected"
        try:
            report = await self._ask_gateway(request, step, self._context.gateways[request.provider])
            outcome = _OUTCOMES[type(report)]
        finally:
            end_call(span, outcome, succeeded=outcome in _SUCCEEDED)
        report_progress()
        self._calls_ended(request.provider, f"{step}_{outcome}").inc()
        self._call_seconds(request.provider).observe(time.monotonic() - started, exemplar_of(span))
        return report

    async def _ask_gateway(self, request: ChargeRequest, step: NextStep, gateway: ChargeGateway) -> ProviderReport:
        asked, account = request.asked, self._context.accounts[request.asked.merchant]
        if step == "init":
            assert request.amount is not None
            order = ChargeOrder(
                order_id=asked.order_id or "",
                amount=request.amount,
                reference_payment_id=asked.reference_payment_id or "",
                user_id=asked.user_id,
            )
            return await gateway.init(order, account, self._call_context)
        payment_id = request.payment_id or asked.reference_payment_id or ""
        if step == "start":
            return await gateway.start(payment_id, account, self._call_context)
        if step == "close":
            closing = CaptureOrVoid(
                payment_id=payment_id,
                capture=asked.action != "release",
                amount=request.amount,
                authorised=request.authorised,
            )
            return await gateway.close(closing, account, self._call_context)
        return await gateway.get_payment(payment_id, account, self._call_context)
