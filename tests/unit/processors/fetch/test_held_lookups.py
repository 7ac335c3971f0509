"""Lookups while a provider is away: few calls are made, none is lost, and all are made soon after it is back."""

from __future__ import annotations

import asyncio
import dataclasses
import heapq
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.providers.base import Call, CallContext, Policy, WaitingLookup
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, RetryLater, Succeeded
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.errors import (
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    ResponseTooLongError,
)
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time
from tests.fakes.fetching import DELAYS, Bench, answering
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
    accounts,
    call_context,
    circuits,
    counted,
    empty,
    header,
    lookup_record,
    metrics,
    refuse_publish,
)

AWAY = ProviderUnavailableError("HTTP 503")


class Flow:
    """fetch and its retry topics in memory, on a clock that moves when nothing is left to do."""

    def __init__(self, retries: int = 24) -> None:
        self.seconds = 0.0
        self.away: set[str] = set()
        self.calls: list[tuple[float, str]] = []
        self.outputs: list[Output] = []
        self.metrics = metrics()
        self._without_records: set[str] = set()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._queues: dict[str, asyncio.Queue[Record]] = {}
        known = circuits(self.metrics, now=lambda: self.seconds)
        self._fetch = FetchStage(
            FakeProvider(Policy(retries={"unavailable": retries}), self._answer),
            accounts("shop", "other"),
            KAFKA,
            dataclasses.replace(call_context(), now=self.now),
            self.metrics,
            known,
            delays_seconds=DELAYS,
            calls_in_flight=4,
        )
        self._retry = RetryStage("nevogate", KAFKA, self.now, self._sleep, may_return=known.may_return)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def _answer(self, call: Call) -> dict[str, LookupOutcome] | Exception:
        merchant = call.lookups[0].lookup.merchant
        self.calls.append((self.seconds, merchant))
        return AWAY if merchant in self.away else call.all_end_as(Succeeded())

    async def _sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, id(future), future))
        await future

    async def publish(self, outputs: Sequence[Output]) -> None:
        for one in outputs:
            self.outputs.append(one)
            record = Record(one.topic, 0, len(self.outputs), one.key, one.value, one.headers, NOW.timestamp())
            if one.topic in self._queues:
                self._queues[one.topic].put_nowait(record)

    async def run(self, until: float) -> None:
        while True:
            while len(self._without_records) + len(self._sleepers) < len(self._tasks) or any(
                not self._queues[name].empty() for name in self._without_records
            ):
                await asyncio.sleep(0)
            if not self._sleepers or self._sleepers[0][0] > until:
                self.seconds = until
                return
            self.seconds, _, future = heapq.heappop(self._sleepers)
            future.set_result(None)

    async def __aenter__(self) -> Flow:
        names = ["lookups.nevogate", *(f"lookups.nevogate.retry.{step}" for step in range(1, 6))]
        self._queues = {name: asyncio.Queue() for name in names}
        self._tasks = [asyncio.create_task(self._consume(name)) for name in names]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _consume(self, name: str) -> None:
        stage = self._retry if ".retry." in name else self._fetch
        while True:
            self._without_records.add(name)
            batch = [await self._queues[name].get()]
            self._without_records.discard(name)
            while not self._queues[name].empty():
                batch.append(self._queues[name].get_nowait())
            await self.publish(await stage.process(BatchContext(batch, empty(), self.publish)))

    async def come(self, *records: Record) -> None:
        await self.publish([Output("lookups.nevogate", one.key, one.value, one.headers) for one in records])

    def answered(self) -> list[str]:
        return [header(one, "lookups") for one in self.outputs if one.topic == "responses.nevogate"]

    def dead(self) -> int:
        return sum(one.topic == "lookups.dead" for one in self.outputs)


async def test_few_calls_while_the_provider_is_away_and_all_lookups_answered_after() -> None:
    async with Flow() as flow:
        flow.away = {"shop"}
        for second in range(0, 1800, 6):
            await flow.come(lookup_record(f"l-{second}", f"t-{second}"))
            await flow.run(float(second))
        opened = 5 + 4  # those that open it, and those in flight by then
        assert len(flow.calls) <= opened + 1800 / 5
        assert len(flow.calls) >= 1800 / 8, "a probe in every interval"
        assert counted(flow.metrics.outcomes, provider="nevogate", stage="fetch", outcome="held", reason="unavailable")
        made_away = len(flow.calls)
        flow.away = set()
        await flow.run(1800 + 5 + 4)
        assert len(flow.calls) > made_away + 100, "they return within a probe interval, long before their time"
        await flow.run(3 * 3600)
        assert len(flow.answered()) == 300
        assert flow.dead() == 0
        assert len(flow.calls) == made_away + 300


async def test_held_back_is_no_attempt() -> None:
    async with Flow() as flow:
        flow.away = {"shop"}
        await flow.come(*(lookup_record(f"l-{n}", f"t-{n}") for n in range(12)))
        await flow.run(4)
        waiting = [one for one in flow.outputs if one.topic == "lookups.nevogate.retry.1"]
        called = len(flow.calls)
        assert 5 <= called <= 5 + 4
        assert [header(one, "attempts") for one in waiting] == ["1"] * called + [""] * (12 - called)
        assert all(header(one, "held-since") for one in waiting)
        held = waiting[-1]
        assert (header(held, "reason"), header(held, "first-seen")) == ("unavailable", "2026-06-01T11:00:00.000Z")
        assert parse_time(header(held, "not-before")) == flow.now() + timedelta(seconds=1)


async def test_other_merchants_are_not_held_back() -> None:
    async with Flow() as flow:
        flow.away = {"shop"}
        await flow.come(*(lookup_record(f"l-{n}", f"t-{n}") for n in range(30)))
        await flow.run(1)
        await flow.come(*(lookup_record(f"o-{n}", f"t-{n}", merchant="other") for n in range(30)))
        await flow.run(2)
        assert sum(merchant == "other" for _, merchant in flow.calls) == 30
        assert len(flow.answered()) == 30


async def test_probes_use_up_no_attempts_of_the_few_lookups_that_wait() -> None:
    async with Flow() as flow:
        flow.away = {"shop"}
        await flow.come(*(lookup_record(f"l-{n}", f"t-{n}", attempts="3") for n in range(6)))
        await flow.run(3600)
        assert len(flow.calls) > 400
        assert {header(one, "attempts") for one in flow.outputs if ".retry." in one.topic} <= {"3", "4"}
        flow.away = set()
        await flow.run(3600 + 5 + 4)
        assert len(flow.answered()) == 6, "each of them, whatever its own delay would have been"


async def test_other_retry_of_a_lookup_that_was_held_waits_for_its_own_time() -> None:
    bench = Bench(FakeProvider(Policy(retries={"uncertain": 3}), answering(RetryLater("uncertain"))))
    (output,) = await bench.work(lookup_record("l-1", held_since="2026-06-01T11:59:00.000Z"))
    assert bench.stored == []
    assert (header(output, "attempts"), header(output, "held-since")) == ("1", "")


async def test_lookup_is_held_no_longer_than_its_retries_would_have_taken() -> None:
    async with Flow(retries=3) as flow:
        flow.away = {"shop"}
        patience = "2026-06-01T11:57:24.000Z"  # a second longer ago than 5, 30 and 120 s
        await flow.come(*(lookup_record(f"l-{n}", f"t-{n}") for n in range(10)))
        await flow.run(1)
        await flow.come(lookup_record("old", held_since=patience), lookup_record("new"))
        await flow.run(2)
        (dead,) = [one for one in flow.outputs if one.topic == "lookups.dead"]
        assert (header(dead, "ce_id"), header(dead, "reason")) == ("old", "unavailable")


class Local(FakeProvider):
    """Its lookups need no call."""

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> list[Call]:
        return [Call(one.lookup_id, (one,), asks=False) for one in lookups]


async def opened_by(provider: FakeProvider) -> bool:
    """Whether thirty calls that end like this hold the next one back."""
    bench = Bench(provider, calls_in_flight=4)
    outputs = await bench.work(*(lookup_record(f"l-{n}", f"t-{n}") for n in range(30)))
    return any(header(one, "held-since") for one in outputs)


async def test_answers_that_say_no_hold_nothing_back() -> None:
    answers: list[tuple[LookupOutcome | Exception, bool]] = [
        (ProviderUnavailableError("HTTP 503"), True),
        (RetryLater("unavailable", "down"), True),
        (RateLimitedError("HTTP 429"), False),
        (ResponseTooLongError("too long"), False),
        (ProviderRefusedError("credentials", "wrong key"), False),
        (Failed("not_found"), False),
        (RetryLater("not_found"), False),
    ]
    for outcome, expected in answers:
        assert await opened_by(FakeProvider(answer=answering(outcome))) == expected, outcome


async def test_lookup_that_needs_no_call_is_never_held_back() -> None:
    assert not await opened_by(Local(answer=answering(AWAY)))


async def test_retry_waits_for_its_time_though_others_may_return() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    stage = RetryStage("nevogate", KAFKA, lambda: NOW, sleep, may_return=lambda merchant: merchant == "shop")
    later = "2026-06-01T12:00:10.000Z"
    held = lookup_record("l-1", not_before=later, held_since="2026-06-01T11:59:00.000Z")
    assert len(await stage.process(BatchContext([held], empty(), refuse_publish))) == 1
    assert slept == []

    async def publish(outputs: Sequence[Output]) -> None:
        return

    own = replace(held, headers=tuple(one for one in held.headers if one[0] != "held-since"))
    await stage.process(BatchContext([own], empty(), publish))
    assert sum(slept) >= 10
