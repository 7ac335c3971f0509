"""charge: carries out the charges, captures and voids that shops request, each at most once.

The stage's topic, ``payments.charges``, holds each merchant's requests, the news of its payments, and due timers
(`processors.runtime.timers`). `processors.charges.state_machine` decides what happens next. Within step 2 of the stage
loop (`processors.runtime.loop`) each call to a provider has steps of its own, repeated for every call:

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
from functools import partial
from typing import Final

from processors.charges import state_machine
from processors.charges.repository import UNCERTAIN, lane
from processors.charges.request_handler import ChargeContext, RequestHandler
from processors.charges.state_machine import ChargeRequest, NextStep, ProviderReport
from processors.charges.write_batch import WriteBatch
from processors.dead_letters import ended
from processors.limits.hourly_quota import HourlyQuota
from processors.metrics import Metrics
from processors.providers.base import CallContext
from processors.providers.charging import CaptureOrVoid, ChargeGateway, ChargeOrder
from processors.runtime.failpoints import Failpoint, Reached, nothing
from processors.runtime.loop import BatchContext
from processors.runtime.progress import moved
from processors.runtime.timers import TimerService
from processors.state import timer_queue
from schemas import topics
from schemas.records import Output, Record

_MOST_COUNTED: Final = 10_000


class ChargeTimers(TimerService):
    """Tells the merchants' times, each no faster than its allowance, and counts the requests that are uncertain."""

    def __init__(self, topic: str, allowances: Mapping[str, HourlyQuota | None], metrics: Metrics) -> None:
        lanes = {lane(merchant): allowance for merchant, allowance in allowances.items()}
        super().__init__(topic, lanes, lambda entry: entry.name.partition("/")[0])
        self._uncertain = metrics.uncertain

    def tell(self, partition: int, state: timer_queue.Keys) -> Sequence[Output]:
        uncertain = state.first(UNCERTAIN, UNCERTAIN + b"\xff", _MOST_COUNTED)
        self._uncertain.labels(str(partition)).set(len(uncertain))
        return super().tell(partition, state)

    def lost(self, partition: int) -> None:
        # or this process would be alarmed for as long as it lives, whatever its next holder finds out
        self._uncertain.remove(str(partition))


class ChargeStage:
    """The stage for all providers that charge. Its state is each request's, each payment's, and the limits used up."""

    name = "charge"
    provider = "all"

    def __init__(
        self, shops: ChargeContext, outside: CallContext, metrics: Metrics, *, reached: Reached = nothing
    ) -> None:
        self._shops = shops
        self._outside = outside
        self._metrics = metrics
        self._reached: Callable[[Failpoint], None] = partial(reached, f"{self.name}.{self.provider}")

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Take the batch's records in order, then bring each request they concern as far as it can come now.

        All of them at once, so that other merchants' wait at most as long as one request can take: four calls (its
        reference's truth or its opening, its start, its closing, and a truth), each cut off by its time-out. How many
        calls run at once is bounded by the batch.
        """
        journal = WriteBatch(context.state, context.publish, self._reached)
        desk = RequestHandler(self._shops, journal, self._metrics, self._outside.now)
        for record in context.records:
            desk.take(record)
        results = await asyncio.gather(
            *(self._carry_on(name, desk, journal) for name in desk.called), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                # only now: the batch is done again after it, and none of its calls may still run then
                raise result
        await journal.write()
        return ()

    def dead_letter(self, record: Record) -> Output:
        self._metrics.dead.labels(self.provider, self.name, "internal_error").inc()
        return ended(record, self._shops.kafka.topic(topics.DEAD), "internal_error")

    async def _carry_on(self, name: str, desk: RequestHandler, journal: WriteBatch) -> None:
        """Step after step until the request has ended or must wait, which is told whatever the others wait for."""
        while True:
            request = desk.request(name)
            assert request is not None
            step = state_machine.next_step(request)
            if step is None:
                break
            now = self._outside.now()
            if state_machine.too_late(request, step, now):
                desk.put(state_machine.refused(request, "expired", now))
                break
            if step in state_machine.INTENDED:
                request = state_machine.intend(request, step, now, desk.timing(request))
                desk.announce(request, step)
                desk.put(request)
                await journal.write()
            word = await self._call(request, step)
            self._reached(Failpoint.CALLED)
            desk.learn(request, step, word)
        await journal.write()

    async def _call(self, request: ChargeRequest, step: NextStep) -> ProviderReport:
        started = time.monotonic()
        word = await self._word(request, step, self._shops.chargers[request.provider])
        moved()
        self._metrics.calls.labels(request.provider, f"{step}_{type(word).__name__.lower()}").inc()
        self._metrics.fetch_seconds.labels(request.provider).observe(time.monotonic() - started)
        return word

    async def _word(self, request: ChargeRequest, step: NextStep, charger: ChargeGateway) -> ProviderReport:
        asked, account = request.asked, self._shops.accounts[request.asked.merchant]
        if step == "init":
            assert request.amount is not None
            order = ChargeOrder(
                order_id=asked.order_id or "",
                amount=request.amount,
                reference_payment_id=asked.reference_payment_id or "",
                user_id=asked.user_id,
            )
            return await charger.init(order, account, self._outside)
        payment_id = request.payment_id or asked.reference_payment_id or ""
        if step == "start":
            return await charger.start(payment_id, account, self._outside)
        if step == "close":
            closing = CaptureOrVoid(
                payment_id=payment_id,
                capture=asked.action != "release",
                amount=request.amount,
                authorised=request.authorised,
            )
            return await charger.close(closing, account, self._outside)
        return await charger.truth(payment_id, account, self._outside)
