"""What the charge stage works on and with: a state that is kept, topics, a gateway that counts money, and a way to
crash anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast

import orjson
from prometheus_client import CollectorRegistry

from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.repository import UNCERTAIN
from paynotify.processors.charges.stage import ChargeStage, ChargeTimers
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.charging import (
    CaptureOrVoid,
    ChargeOpened,
    ChargeOrder,
    ChargeReport,
    MoneyOutcome,
    NotDone,
    OpenOutcome,
    ReadOutcome,
)
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state import timer_queue
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import PaymentRequest, PaymentSeen, RequestedPayment
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.status import FINAL, Status
from paynotify.schemas.times import rfc3339
from tests.fakes.accounts import account
from tests.fakes.cloud_events import cloud_event

NOW: Final = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
KAFKA: Final = KafkaSettings()
REFERENCE: Final = "0123456789abcdef" * 2
LIMITS: Final = {"EUR": {"per_charge": 10_000, "per_reference": 20_000, "per_day": 30_000}}
LOOKS_SECONDS: Final = (5.0, 30.0, 300.0)
CALL_SECONDS: Final = 10.0
SETTLES_SECONDS: Final = 60.0

Fault = Literal["answer", "not sent", "lost before", "lost after", "late", "crash before", "crash after"]


class Crash(BaseException):
    """The process ends here, as by kill -9."""


def shop(name: str = "shop", **charges: Any) -> Account[Any]:
    """A merchant that may charge."""
    settings = {
        "public_url": "https://pay.shop.example",
        "limits": LIMITS,
        "poll_schedule_seconds": list(LOOKS_SECONDS),
        "call_timeout_seconds": CALL_SECONDS,
        "close_settles_seconds": SETTLES_SECONDS,
        "expires_seconds": 3600,
        **charges,
    }
    return account("nevogate", id=name, charges=settings)


def euros(value: int) -> Money:
    return Money(value, "EUR")


def charge(request_id: str = "r1", **fields: Any) -> RequestedPayment:
    whole: dict[str, Any] = {
        "request_id": request_id,
        "merchant": "shop",
        "action": "charge",
        "order_id": f"order-{request_id}",
        "reference_payment_id": REFERENCE,
        "amount": euros(1000),
        **fields,
    }
    return RequestedPayment(**whole)


def capture(payment_id: str, request_id: str = "c1", **fields: Any) -> RequestedPayment:
    return RequestedPayment(
        request_id=request_id, merchant="shop", action=fields.pop("action", "capture"), payment_id=payment_id, **fields
    )


@dataclass(slots=True)
class Transaction:
    """One payment at the gateway: ``moved`` and ``closed`` count how often its money moved."""

    order_id: str
    amount: Money
    status: Status = "pending"
    started: bool = False
    starts: int = 0
    moved: int = 0
    closed: int = 0
    captured: int = 0

    @property
    def released(self) -> bool:
        return self.closed > 0 and self.captured == 0


@dataclass(slots=True)
class Gateway:
    """A provider that charges, and does with each call what it is told: by ``fault``, asked with the call's name.

    ``end`` is what a started charge becomes, ``refusals`` what calls of a name are refused with.
    """

    fault: Callable[[str], Fault] = lambda call: "answer"
    end: Callable[[], Status] = lambda: "authorised"
    refusals: dict[str, NotDone | Unknown[RequestReason]] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    late: list[tuple[str, str, Callable[[], Any]]] = field(default_factory=list)
    name: str = "nevogate"
    unsigned: bool = True
    payment_id_form: str = "32 lower-case hex digits"

    def is_payment_id(self, text: str) -> bool:
        return len(text) == 32

    def __post_init__(self) -> None:
        self.transactions[REFERENCE] = Transaction("registration", euros(500), "captured")

    def problem(self, asked: RequestedPayment, account: Account[Any]) -> RequestReason | None:
        return None

    async def init(self, order: ChargeOrder, account: Account[Any], context: CallContext) -> OpenOutcome:
        def opened() -> ChargeOpened:
            name = f"{len(self.transactions):032x}"
            self.transactions[name] = Transaction(order.order_id, order.amount)
            return ChargeOpened(name)

        word: OpenOutcome = self._call("init", order.order_id, opened, RetryLater("no_answer"))
        return word

    async def start(self, payment_id: str, account: Account[Any], context: CallContext) -> MoneyOutcome:
        def started() -> Any:
            one = self.transactions[payment_id]
            one.starts += 1
            if one.started:
                return Unknown("wrong_state")
            one.started = True
            one.status = self.end()
            one.moved += one.status == "authorised"
            self.news.append(payment_id)
            return self._told(payment_id)

        word: MoneyOutcome = self._call("start", payment_id, started, Unknown("no_answer"))
        return word

    async def close(self, closing: CaptureOrVoid, account: Account[Any], context: CallContext) -> MoneyOutcome:
        def closed() -> Any:
            one = self.transactions[closing.payment_id]
            if one.status != "authorised":
                return Unknown("wrong_state")
            one.closed += 1
            one.captured = (closing.amount or one.amount).value if closing.capture else 0
            one.status = "captured" if closing.capture else "cancelled"
            self.news.append(closing.payment_id)
            return self._told(closing.payment_id)

        word: MoneyOutcome = self._call("close", closing.payment_id, closed, Unknown("no_answer"))
        return word

    async def get_payment(self, payment_id: str, account: Account[Any], context: CallContext) -> ReadOutcome:
        def known() -> Any:
            if payment_id not in self.transactions:
                return Failed("unknown_payment")
            return self._told(payment_id)

        word: ReadOutcome = self._call("get_payment", payment_id, known, RetryLater("no_answer"))
        return word

    def arrive(self) -> None:
        """What was still on its way is done; nobody hears its answer."""
        while self.late:
            self.late.pop(0)[2]()

    def _call(self, call: str, about: str, done: Callable[[], Any], lost: Any) -> Any:
        if call in ("start", "close"):
            assert not any(one[:2] == (call, about) for one in self.late), "called again while it may still arrive"
        self.calls.append((call, about))
        fault = self.fault(call)
        if fault == "crash before":
            raise Crash
        if fault == "not sent":
            return RetryLater("unavailable")
        if fault == "late":
            self.late.append((call, about, done))
        if fault in ("lost before", "late"):
            return lost
        answer = self.refusals.get(call) or done()
        if fault == "crash after":
            raise Crash
        return lost if fault == "lost after" else answer

    def _told(self, payment_id: str) -> ChargeReport:
        one = self.transactions[payment_id]
        answer = ProviderResponse(
            b"{}", "application/json", 200, NOW, reference=payment_id, facts={"method": "Details"}
        )
        return ChargeReport(one.status, one.amount, one.order_id, rfc3339(NOW), answer)

    def moved(self, order_id: str) -> int:
        """How often money moved for an order, whatever its transactions."""
        return sum(one.moved for one in self.transactions.values() if one.order_id == order_id)


@dataclass(frozen=True, slots=True)
class Owner:
    """The partition's owner, for what the stage makes durable before its batch ends."""

    world: World

    async def persist(self, changes: Mapping[bytes, bytes | None]) -> None:
        await self.world.keep(changes)

    async def publish(self, outputs: Sequence[Output]) -> None:
        await self.world.tell(outputs)


@dataclass(slots=True)
class World:
    """The stage with its log, and all that is durable of it. ``crashes`` is asked at every place where a process may
    end: by the number of the step, or by ``publish`` and ``keep``."""

    gateway: Gateway = field(default_factory=Gateway)
    accounts: Mapping[str, Account[Any]] = field(default_factory=lambda: {"shop": shop()})
    crashes: Callable[[str], bool] = lambda place: False
    store: MemoryStore = field(default_factory=MemoryStore)
    published: list[Output] = field(default_factory=list)
    told: list[Output] = field(default_factory=list)
    kept: list[Mapping[bytes, bytes | None]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))
    now: datetime = NOW
    offset: int = 0
    repeats: int = 0
    late_until: datetime = NOW

    def shops(self) -> ChargeContext:
        providers = {**dict.fromkeys(self.accounts, "nevogate"), "shop-nl": "omnikassa"}
        return ChargeContext(self.accounts, {"nevogate": self.gateway}, providers, KAFKA)

    def stage(self) -> ChargeStage:
        context = CallContext(cast(Any, None), lambda: self.now, 1000, 1.0, 10, cast(Any, None))
        return ChargeStage(self.shops(), context, self.metrics, reached=self._reached)

    def _reached(self, unit: str, step: Failpoint) -> None:
        assert unit == "charge.all"
        if self.crashes(step.name):
            raise Crash

    async def publish(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if self.crashes("publish"):
                raise Crash
            self.published.append(output)

    async def tell(self, outputs: Sequence[Output]) -> None:
        """As the partition's holder."""
        self.told.extend(outputs)
        await self.publish(outputs)

    async def keep(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.kept.append(dict(changes))
        for key, value in changes.items():
            if self.crashes("keep"):
                raise Crash
            self.store.write({key: value}, 0)

    async def work(self, *records: Record) -> None:
        """Take a batch to its end, by as many processes as it needs."""
        while True:
            overlay = Overlay(self.store, Owner(self))
            if not self.gateway.late:
                # what was given up takes effect no later than that
                self.late_until = self.now + timedelta(seconds=SETTLES_SECONDS)
            try:
                outputs = await self.stage().process(BatchContext(records, overlay, self.publish))
                await self.publish(outputs)
                if overlay.changes:
                    await self.keep(overlay.changes)
                if not self.crashes("acknowledge"):
                    return
            except Crash:
                pass
            self.repeats += 1
            assert self.repeats < 200, "it never ends"

    def record(self, value: bytes, headers: tuple[tuple[str, bytes], ...], key: bytes = b"shop") -> Record:
        self.offset += 1
        return Record("payments.charges", 0, self.offset, key, value, headers, self.now.timestamp())

    def asked(self, asked: RequestedPayment) -> Record:
        """A request as it comes from the shop's topic."""
        headers = cloud_event(
            event_id="e",
            source="/requested",
            event_type=messages.REQUEST_MADE,
            event_time=rfc3339(self.now),
            received_at=rfc3339(self.now),
        )
        return self.record(messages.encode(asked), headers, asked.merchant.encode())

    def seen(
        self, payment_id: str, status: Status | None = None, amount: Money | None = None, *, corrected: bool = False
    ) -> Record:
        """News of a payment, as resolve tells it."""
        one = self.gateway.transactions.get(payment_id) or Transaction("order", amount or euros(1000))
        status = status or one.status
        news = PaymentSeen(
            provider="nevogate",
            merchant="shop",
            payment_id=payment_id,
            order_id=one.order_id,
            status=status,
            final=status in FINAL,
            amount=amount or one.amount,
            observed_at=rfc3339(self.now),
            corrected=corrected,
        )
        headers = cloud_event(
            event_id="s", source="/resolve", event_type=messages.PAYMENT_SEEN, event_time=rfc3339(self.now)
        )
        return self.record(messages.encode(news), headers)

    def due(self) -> list[Timer]:
        """What stands on the agenda."""
        return timer_queue.due(self.store, "charge/shop", self.now + timedelta(days=999), 10_000)

    async def wait(self) -> bool:
        """Let the time of the next entry come; false if there is none."""
        entries = self.due()
        if not entries:
            return False
        self.now = max(self.now, timer_queue.moment_of(entries[0].due_milliseconds))
        if self.now >= self.late_until:
            self.gateway.arrive()
        clock = ChargeTimers("payments.charges", {"shop": None}, self.metrics, lambda: self.now)
        for output in clock.due_records(0, self.store):
            await self.work(self.record(output.value or b"", output.headers, output.key or b""))
        return True

    async def settle(self) -> None:
        """Let all the time pass that anything waits for."""
        for _ in range(200):
            if not await self.wait():
                return
        raise AssertionError("there is always something to wait for")

    def events(self, request_id: str = "r1") -> list[PaymentRequest]:
        """What the shop was told of a request: each event once; asserts that an id stands for one content."""
        found: dict[str, bytes] = {}
        for output in self.published:
            if output.topic == "payments.requests":
                event = orjson.loads(output.value or b"")
                assert found.setdefault(event["event_id"], output.value or b"") == output.value
        told = [messages.decode(value, PaymentRequest) for value in found.values()]
        return [one for one in told if one.request_id == request_id]

    def states(self, request_id: str = "r1") -> list[str]:
        return [one.state for one in self.events(request_id)]

    def topic(self, name: str) -> list[Output]:
        return [output for output in self.published if output.topic == name]

    def uncertain(self) -> set[str]:
        """The requests listed as uncertain."""
        return {key[len(UNCERTAIN) :].decode() for key in self.store.values if key.startswith(UNCERTAIN)}

    def counted(self) -> int:
        """What stands in the limits of today."""
        counted, back = (
            sum(orjson.loads(self.store.values.get(key + b"day\0shop/EUR", b"{}")).values()) for key in (b"", b"back\0")
        )
        return int(counted - back)

    def gauge(self) -> float:
        """The uncertain requests as the clock counts them."""
        ChargeTimers("payments.charges", {}, self.metrics).due_records(0, self.store)
        return float(self.metrics.uncertain.labels("0")._value.get())
