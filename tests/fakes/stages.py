"""What a stage works on and with, small enough to see through: records, a store, a publisher, a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

import httpx
from prometheus_client import CollectorRegistry

from paynotify.processors.limits.provider_circuits import ProviderCircuits
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import (
    Authenticity,
    Call,
    CallContext,
    Interpretation,
    Notification,
    ParsedNotification,
    Policy,
    ProviderAlert,
    ProviderResponse,
    Store,
    WaitingLookup,
)
from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.processors.providers.outcomes import LookupOutcome, Succeeded
from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.store import StateStore
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.schemas import messages
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.worker import CircuitSettings
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.messages import Expectation, Lookup
from paynotify.schemas.records import Output, Record
from tests.fakes.observations import notification_headers, observation

NOW: Final = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
KAFKA: Final = KafkaSettings()


def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def counted(of: Any, **labels: str) -> float:
    """The value of a counter's one labelled child."""
    return float(of.labels(**labels)._value.get())


def record(
    value: bytes | None = b"",
    headers: Mapping[str, str] | None = None,
    *,
    offset: int = 0,
    key: bytes = b"shop/1",
    topic: str = "source",
    partition: int = 1,
) -> Record:
    raw = tuple((name, text.encode()) for name, text in (headers or {}).items())
    return Record(topic, partition, offset, key, value, raw, NOW.timestamp())


def header(output: Output, name: str) -> str:
    return next((value.decode() for key, value in reversed(output.headers) if key == name), "")


class RecordingStore(MemoryStore):
    """A partition's store that tells in which order it was written."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def write(self, changes: Mapping[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        self._told.append("store")
        super().write(changes, next_offset, state_format)

    def close(self) -> None:
        self._told.append("closed")


class FakeChangelog(Changelog):
    """A changelog of which others have written what a test says; each of ``lost`` is raised once by a write.

    Outputs published by its holder go to ``publisher``.
    """

    def __init__(self, told: list[str] | None = None, publisher: OutputPublisher | None = None) -> None:
        super().__init__({}, "changelog", 1)
        self.publisher = publisher
        self.others: dict[bytes, bytes | None] = {}
        self.written: list[Mapping[bytes, bytes | None]] = []
        self.lost: list[Exception] = []
        self.old = False
        self._told = told if told is not None else []

    async def acquire(self) -> None:
        self._told.append("acquire")
        self.old = False

    @property
    def must_be_reacquired(self) -> bool:
        return self.old

    async def verify_ownership(self, *, force: bool = False) -> None:
        self._told.append("verify ownership now" if force else "verify ownership")
        if force and self.lost:
            raise self.lost.pop()

    async def write(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> int:
        self._told.append("changelog")
        if self.lost:
            raise self.lost.pop()
        self.written.append(dict(changes))
        return sum(len(one) for one in self.written)

    async def publish(self, outputs: Sequence[Output]) -> None:
        assert self.publisher is not None
        await self.publisher.publish(outputs)

    async def catch_up(self, store: StateStore, on_progress: Callable[[], None] = lambda: None) -> int:
        self._told.append("caught up")
        store.write(self.others, 0)
        return len(self.others)


class RecordingPublisher(OutputPublisher):
    """Keeps what is published; fails first as often as told."""

    def __init__(self, told: list[str] | None = None, failures: Iterable[Exception] = ()) -> None:
        self.outputs: list[Output] = []
        self._told = told if told is not None else []
        self._failures = list(failures)

    async def publish(self, outputs: Sequence[Output]) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self._told.append("outputs")
        self.outputs.extend(outputs)


class NothingExpected:
    """A shop that announces nothing, or only what it is given: expectations by order."""

    def __init__(self, **orders: Expectation) -> None:
        self.orders = orders

    async def ready(self) -> None:
        return

    def of(self, merchant: str, payment_id: str, order_id: str | None) -> Expectation | None:
        return self.orders.get(order_id or "")


async def refuse_publish(outputs: Sequence[Output]) -> None:
    """For stages that publish nothing themselves."""
    raise AssertionError("nothing is published before the batch ends")


def lookup(reference: str | None, merchant: str = "shop", **fields: Any) -> Lookup:
    defaults: dict[str, Any] = {
        "provider": "nevogate",
        "operation": "result",
        "notification_id": "n-1",
        "received_at": "2026-06-01T12:00:00.000Z",
    }
    return Lookup(merchant=merchant, reference=reference, **{**defaults, **fields})


def lookup_record(
    lookup_id: str, reference: str | None = "t", *, merchant: str = "shop", offset: int = 0, **headers: str
) -> Record:
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return record(
        messages.encode(lookup(reference, merchant)),
        {"ce_id": lookup_id, "ce_time": "2026-06-01T11:00:00.000Z", **more},
        key=f"{merchant}/{reference}".encode(),
        offset=offset,
    )


def notification_record(
    notification_id: str, body: bytes = b"t-1", merchant: str = "shop", offset: int = 0, at: datetime = NOW
) -> Record:
    headers = notification_headers("nevogate", merchant, notification_id)
    return record(body, {**headers, "ce_time": at.isoformat()}, offset=offset, topic="notifications.nevogate")


def accounts(*names: str, with_token: bool = False) -> dict[str, Account[Any]]:
    return {
        name: Account(
            NevogateMerchant(
                id=name,
                store_name="s",
                api_key=SecretRef(value="k"),
                base_url="https://hu.example",
                url_tokens=(SecretRef(value="t"),) if with_token else (),
            ),
            {},
        )
        for name in names or ("shop",)
    }


Answering = Callable[[Call], Mapping[str, LookupOutcome] | Exception]


class FakeProvider:
    """A provider whose every answer a test decides.

    A notification's body is its reference; ``bad...`` is rejected, ``alert...`` an alert, ``bug`` breaks the module.
    """

    name = "nevogate"

    def __init__(self, policy: Policy | None = None, answer: Answering | None = None, queues: bool = True) -> None:
        self.policy = policy or Policy(retries={"unavailable": 3, "uncertain": 2}, remembers_answered=True)
        self.made: list[tuple[str, ...]] = []
        self.at_work: set[str] = set()
        self.most_at_work = 0
        self._answer = answer or (lambda call: {one.lookup_id: Succeeded() for one in call.lookups})
        self._queues = queues

    def parse(self, notification: Notification, account: Account[Any]) -> ParsedNotification:
        text = notification.body.decode()
        if text == "bug":
            raise ZeroDivisionError("nobody foresaw this: secret-4711")
        if text.startswith("alert"):
            return ParsedNotification(reference=None, duplicate_key=None, detail=None, alert=ProviderAlert(text))
        return ParsedNotification(
            reference=text, duplicate_key=None if text.startswith("every") else notification.body, detail=None
        )

    def verify(self, parsed: ParsedNotification, notification: Notification, account: Account[Any]) -> Authenticity:
        if parsed.reference is not None and parsed.reference.startswith("bad"):
            raise RejectedNotificationError("bad_signature", "no key made the signature")
        return "authentic"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        return lookup(parsed.reference, notification.merchant)

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        return [Call((one.lookup.reference or "") if self._queues else "one", (one,)) for one in lookups]

    async def fetch(
        self, call: Call, account: Account[Any], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        assert call.queue not in self.at_work, "two calls of one queue at once"
        self.at_work.add(call.queue)
        self.most_at_work = max(self.most_at_work, len(self.at_work))
        try:
            async with context.pace(account.merchant.id):
                context.progress()
                self.made.append(tuple(one.lookup_id for one in call.lookups))
                result = self._answer(call)
            if isinstance(result, Exception):
                raise result
            if any(isinstance(one, Succeeded) for one in result.values()):
                response = ProviderResponse(
                    b"{}",
                    "application/json",
                    200,
                    NOW,
                    reference=call.lookups[0].lookup.reference,
                    facts={"version": "2"},
                )
                await store(response, call.lookups)
            return result
        finally:
            self.at_work.discard(call.queue)

    def interpret(self, response: ProviderResponse, account: Account[Any]) -> Interpretation:
        if response.body == b"unsigned":
            raise UnreadableError("no key made the signature", "unverified_answer")
        names = response.body.decode().split()
        read = [name for name in names if name != "unreadable"]
        found = tuple(observation(name, merchant=account.merchant.id, provider="nevogate") for name in read)
        if len(read) < len(names):
            return Interpretation(found, "unreadable_answer", "one can't be read")
        return Interpretation(found)


def call_context(
    turn: Callable[[str], Awaitable[Any]] | None = None, now: Literal["later"] | None = None
) -> CallContext:
    """``turn`` is what a call waits for before it goes out; without it everybody's turn is now."""

    @asynccontextmanager
    async def pace(merchant: str) -> AsyncIterator[None]:
        if turn is not None:
            await turn(merchant)
        yield

    return CallContext(
        http=cast(httpx.AsyncBaseTransport, None),
        now=lambda: NOW + timedelta(hours=1 if now else 0),
        max_response_bytes=1000,
        timeout_seconds=1.0,
        transactions_per_query=10,
        pace=pace,
    )


def circuits(of: Metrics, now: Callable[[], float] = lambda: 0.0) -> ProviderCircuits:
    """The circuits of ``nevogate``. Without a clock no time passes."""
    return ProviderCircuits("nevogate", CircuitSettings(), of.circuit_open, now)


def empty() -> Overlay:
    return Overlay(MemoryStore())
