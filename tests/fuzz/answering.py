"""The stages and provider calls without Kafka and network, as fast as fuzzing needs them.

The exchange, the parsers and the stages are the real ones; only the socket is left out: hostile bytes on a real one
are `tests.contract.providers.test_http`'s business.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import Any, Final, TypeVar

import httpx
from prometheus_client import CollectorRegistry

from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.interpret.stage import InterpretStage
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Call, CallContext, ProviderResponse, WaitingLookup
from paynotify.processors.providers.outcomes import LookupOutcome
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.stage import VerifyStage
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.records import Output, Record
from tests.fakes.accounts import NOW, waiting
from tests.fakes.stages import NothingExpected, circuits

KAFKA: Final = KafkaSettings()

Headers = Sequence[tuple[bytes, bytes]]
#: Status, headers and body of the provider's answer to a request's body.
Script = Callable[[bytes], tuple[int, Headers, bytes]]
Result = TypeVar("Result")

_RUNNER: Final = asyncio.Runner()


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, in one event loop for all inputs."""
    return _RUNNER.run(work)


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, body = self._script(await request.aread())
        return httpx.Response(status, headers=list(headers), stream=_Body(body))


def call_context(script: Script) -> CallContext:
    """What a fetch uses, with the provider's side played by ``script``."""
    return CallContext(
        _Transport(script), lambda: NOW, 1 << 20, 5.0, 100, lambda queue: nullcontext(), lambda merchant: 0.0
    )


async def fetched(
    provider: str, account: Account[Any], script: Script, reference: str | None = None, **arguments: str
) -> dict[str, LookupOutcome]:
    """One provider call for one lookup."""
    call = Call("queue", (waiting(provider, reference, **arguments),))

    async def store(response: ProviderResponse, lookups: tuple[WaitingLookup, ...]) -> None:
        return

    return dict(await provider_specs()[provider].provider.fetch(call, account, call_context(script), store))


class Line:
    """verify, fetch, interpret and resolve of one provider, one after the other over one notification's record."""

    def __init__(self, provider: str, account: Account[Any]) -> None:
        one, accounts = provider_specs()[provider].provider, {account.merchant.id: account}
        metrics = Metrics(CollectorRegistry())
        self._one, self._accounts, self._metrics = one, accounts, metrics
        self.verify = VerifyStage(one, accounts, KAFKA, metrics)
        self.interpret = InterpretStage(one, accounts, KAFKA, metrics, NothingExpected())
        self.resolve = ResolveStage(KAFKA, metrics)

    async def fetch(self, records: Sequence[Record], script: Script) -> list[Output]:
        """The stage's outputs, the stored answers among them."""
        stage = FetchStage(
            self._one,
            self._accounts,
            KAFKA,
            call_context(script),
            self._metrics,
            circuits(self._metrics),
            delays_seconds=(1.0, 2.0, 3.0, 4.0, 5.0),
            calls_in_flight=4,
        )
        published: list[Output] = []

        async def publish(outputs: Sequence[Output]) -> None:
            published.extend(outputs)

        settled = await stage.process(BatchContext(records, Overlay(None), publish))
        return [*published, *settled]

    async def all_of(self, notification: Record, script: Script) -> list[Output]:
        """Everything that is written on the way of one notification."""
        written = list(await self.verify.process(BatchContext([notification], Overlay(None), no_publish)))
        lookups = taken(written, topics.lookups(self._one.name))
        fetched = await self.fetch(lookups, script) if lookups else []
        written += fetched
        for record in taken(fetched, topics.responses(self._one.name)):
            written += await self.interpret.process(BatchContext([record], Overlay(None), no_publish))
        state = Overlay(None)
        for record in taken(written, topics.OBSERVATIONS):
            written += await self.resolve.process(BatchContext([record], state, no_publish))
        return written


async def no_publish(outputs: Sequence[Output]) -> None:
    """For stages that publish nothing by themselves."""


def taken(outputs: Sequence[Output], topic: str) -> list[Record]:
    """The outputs on a topic as the next stage reads them."""
    return [
        Record(one.topic, 0, offset, one.key, one.value, one.headers, NOW.timestamp())
        for offset, one in enumerate(outputs)
        if one.topic == topic
    ]


def to_this_query(answer: bytes) -> Script:
    """Trust Payments' answers name the query they answer: its own number takes the place of ``QUERY``."""

    def script(question: bytes) -> tuple[int, Headers, bytes]:
        reference = json.loads(question)["request"][0]["requestreference"]
        return 200, (), answer.replace(b"QUERY", reference.encode())

    return script
