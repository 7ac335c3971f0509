"""A provider that settles payments overnight without a word, and the partition of resolve that follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.daily_looks import DailyLooks
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.retention import payment_state
from paynotify.processors.resolve.settlement import (
    FollowedPayments,
    SettlementLooks,
    SettlementTimers,
    settlement_queue,
)
from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import CAUSE, RECOVERY, REFERENCES, SETTLEMENT_DUE, Lookup, Observation
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339
from tests.fakes.observations import observation
from tests.fakes.stages import metrics, refuse_publish

MERCHANT: Final = "shop-uk"
PROVIDER: Final = "trustpayments"
MORNINGS: Final = DailyLooks(8, UTC)
SOLD_AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
FIRST_MORNING: Final = date(2026, 6, 2)
#: Eight days after the first: nobody looks any more.
LAST_MORNING: Final = date(2026, 6, 10)


def settlement_lookup(merchant: str, references: tuple[str, ...], cause: str, at: str) -> tuple[bytes, Lookup]:
    arguments = {REFERENCES: " ".join(references), CAUSE: SETTLEMENT_DUE, RECOVERY: "1"}
    lookup = Lookup(
        provider=PROVIDER,
        merchant=merchant,
        operation="transaction",
        reference=None,
        notification_id=cause,
        received_at=at,
        arguments=arguments,
    )
    return merchant.encode(), lookup


def said(payment: str, observed_at: datetime, settled_from: datetime | None = None) -> Observation:
    """What a response of that time says of a payment that settles then, if ever."""
    settled = settled_from is not None and observed_at >= settled_from
    looks = MORNINGS.follow(payment, first=FIRST_MORNING, last=LAST_MORNING, observed_at=observed_at)
    return observation(
        payment,
        "captured" if settled else "authorised",
        provider=PROVIDER,
        merchant=MERCHANT,
        observed_at=rfc3339(observed_at),
        follow=None if settled else looks,
    )


@dataclass
class FollowingPartition:
    """One partition of resolve with its timers, its state, and a clock that a test moves."""

    references_per_lookup: int = 100
    jitter_seconds: float = 600.0
    gather_seconds: float = 60.0
    quota: HourlyQuota | None = None
    now: datetime = SOLD_AT
    merchants: tuple[str, ...] = (MERCHANT,)
    numbers: Metrics = field(default_factory=metrics)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process owns the partition."""
        kafka = KafkaSettings()
        merchants = {one: FollowedPayments(PROVIDER, self.references_per_lookup) for one in self.merchants}
        looks = SettlementLooks(merchants, settlement_lookup, kafka, self.numbers, jitter_seconds=self.jitter_seconds)
        self.stage = ResolveStage(kafka, self.numbers, looks=looks)
        self.timers = SettlementTimers(
            "observations",
            merchants,
            dict.fromkeys(merchants, self.quota),
            lambda: self.now,
            gather_seconds=self.gather_seconds,
        )

    def due(self) -> list[Record]:
        """The records of the timers that are due now, as stored at once."""
        return [self.stored(one) for one in self.timers.due_records(0, self.store)]

    def stored(self, output: Output) -> Record:
        return Record(output.topic, 0, 0, output.key, output.value, output.headers, self.now.timestamp())

    def record(self, observation: Observation) -> Record:
        key = f"{observation.merchant}/{observation.payment_id}".encode()
        headers = (("ce_id", b"o"), ("ce_type", messages.PAYMENT_OBSERVED.encode()))
        return Record("observations", 0, 0, key, messages.encode(observation), headers, self.now.timestamp())

    async def outputs(self, records: Sequence[Record], overlay: Overlay | None = None) -> list[Output]:
        """What a batch publishes, without making its state durable."""
        context = BatchContext(records, overlay or Overlay(self.store), refuse_publish)
        return list(await self.stage.process(context))

    async def work(self, records: Sequence[Record]) -> list[Output]:
        """Process a batch to its end."""
        overlay = Overlay(self.store)
        outputs = await self.outputs(records, overlay)
        self.store.write(overlay.changes, 1)
        return outputs

    async def observe(self, *observations: Observation) -> list[Output]:
        return await self.work([self.record(one) for one in observations])

    async def tick(self) -> list[Lookup]:
        """Publish the due timers, process them, and return the lookups."""
        return lookups(await self.work(self.due()))

    def state(self, payment: str) -> PaymentState:
        return payment_state(self.store.get(f"{MERCHANT}/{payment}".encode()))

    def timer_keys(self, merchant: str = MERCHANT) -> list[bytes]:
        prefix = b"due\0" + settlement_queue(merchant).encode() + b"\0"
        return [one for one in self.store.values if one.startswith(prefix)]

    def wait(self, **time: Any) -> None:
        self.now += timedelta(**time)


def lookups(outputs: Sequence[Output]) -> list[Lookup]:
    """The lookups among a batch's outputs."""
    return [messages.decode(one.value, Lookup) for one in outputs if one.topic.startswith("lookups.")]


def references(lookup: Lookup) -> list[str]:
    """What a lookup asks for."""
    return lookup.arguments[REFERENCES].split()
