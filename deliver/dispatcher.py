"""Makes the deliveries of one owned subscription: which goes out when, and in which order things become durable.

For each delivery:

1. It is read from its topic; its offset is not committed.
2. The subscriber is called.
3. It answered with success: if the state topic has the delivery, the brokers acknowledge a tombstone.
4. It failed, and is to be tried again: the brokers acknowledge the waiting delivery, and those of the same payment
   behind it.
5. It failed for the last time: the brokers acknowledge the dead letter, and then the tombstone as in 3.
6. Its offset may be committed.

A crash after 2 means that the subscriber is called again with the same id. docs/durability.md has the whole table.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from paynotify.deliver.answer import SubscriberAnswer
from paynotify.deliver.delivery_queue import DeliveryQueue, QueuedDelivery
from paynotify.deliver.metrics import DeliverMetrics
from paynotify.deliver.result_event import ResultEvent
from paynotify.deliver.retry_policy import retry_delay_seconds
from paynotify.deliver.state_reader import StateReader
from paynotify.deliver.subscription_state import state_record
from paynotify.deliver.waiting import dead_letter, tombstone, waiting_record
from paynotify.processors.limits import circuit as circuits
from paynotify.processors.limits.jitter import fraction
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.reasons import DeliveryReason
from paynotify.schemas.records import Output
from paynotify.schemas.times import parse_time, rfc3339, utc_now
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.deliver")

#: A delivery that is due waits longer by up to this share, so that those that failed together do not return together.
_JITTER_SHARE: Final = 0.1
_NO_HOLD: Final = 0.0


class Calls(Protocol):
    """Calls the subscriber."""

    async def call(self, event: ResultEvent) -> SubscriberAnswer: ...


class Publishes(Protocol):
    """Returns when the brokers have acknowledged the outputs."""

    async def publish(self, outputs: Sequence[Output]) -> None: ...


class Dispatcher:
    """The deliveries of one subscription while this process owns it."""

    def __init__(
        self,
        subscription: Subscription,
        settings: DeliverSettings,
        kafka: KafkaSettings,
        caller: Calls,
        writer: Publishes,
        state: StateReader,
        metrics: DeliverMetrics,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.queue = DeliveryQueue()
        self._subscription = subscription
        self._settings = settings
        self._kafka = kafka
        self._caller = caller
        self._writer = writer
        self._state = state
        self._metrics = metrics
        self._now = now
        self._circuit = circuits.CLOSED
        self._paused_until = 0.0
        self._is_disabled = False
        self._stopping = False
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self, waiting: Iterable[QueuedDelivery]) -> None:
        """Deliver until `stop`, beginning with what waits."""
        for one in waiting:
            self.queue.add(one)
        self._task = asyncio.ensure_future(self._run())

    async def stop(self, within_seconds: float) -> None:
        """Make no further call. Those in progress may end within the time."""
        self._stopping = True
        self._changed.set()
        if self._calls:
            await asyncio.wait(self._calls, timeout=within_seconds)
        tasks = [*self._calls, *([self._task] if self._task is not None else [])]
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def failed(self) -> bool:
        """Whether it ended by an error, which nobody foresaw."""
        return self._task is not None and self._task.done() and not self._stopping

    @property
    def room(self) -> int:
        """How many further events may be read now; 0 while those here have to wait."""
        if self._is_held() or self.queue.waiting >= self._settings.waiting_deliveries:
            return 0
        return max(0, self._settings.window_events - self.queue.unsaved)

    def changed(self) -> None:
        """Look again: something was read, or the subscription was enabled or disabled."""
        self._changed.set()

    async def add(self, deliveries: Iterable[QueuedDelivery]) -> None:
        """Queue what was read. Returns once those that wait behind a failed one are saved."""
        added = [one for one in deliveries if self.queue.add(one)]
        self._changed.set()
        for key in dict.fromkeys(one.event.order_key for one in added):
            await self._save(self.queue.to_be_saved(key))

    def report(self) -> None:
        """Set the gauges."""
        name, oldest = self._subscription.id, self.queue.oldest
        happened = parse_time(oldest.event.happened_at) if oldest is not None else None
        age_seconds = self._now() - happened.timestamp() if happened is not None else 0.0
        self._metrics.waiting.labels(name).set(self.queue.waiting)
        self._metrics.oldest.labels(name).set(max(0.0, age_seconds))
        self._metrics.circuit_open.labels(name).set(self._circuit.opened_at is not None)

    def _is_held(self) -> bool:
        """Whether nothing more is to be read: it would only wait here, and more would be repeated after a crash."""
        is_open = self._circuit.opened_at is not None
        return self._stopping or self._is_off() or is_open or self._now() < self._paused_until

    def _is_off(self) -> bool:
        """Whether the subscription is disabled; what this process has just said of it counts before it is read back."""
        found = self._state.is_disabled(self._subscription.id)
        return found or self._is_disabled

    async def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            wait_seconds = self._start_due()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=wait_seconds)
            except TimeoutError:
                continue

    def _start_due(self) -> float | None:
        """Start the calls that are due. Returns when to look again at the latest; None if something has to change."""
        while not self._stopping and not self._is_off() and len(self._calls) < self._subscription.calls_in_flight:
            now = self._now()
            if now < self._paused_until:
                return self._paused_until - now
            circuit, verdict = circuits.asked(self._circuit, now)
            if verdict == "hold":
                return None if circuit.probing else max(0.0, circuit.probe_at - now)
            delivery = self.queue.take(now, any_time=verdict == "probe")
            if delivery is None:
                due_at = self.queue.due_at()
                return max(0.0, due_at - now) if due_at is not None else None
            self._circuit = circuit
            probe_of = circuit.opened_at if verdict == "probe" else None
            task = asyncio.ensure_future(self._deliver(delivery, probe_of))
            self._calls.add(task)
            task.add_done_callback(self._ended)
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            event(logger, "delivery_failed", level=logging.ERROR, error=type(error).__name__)
            if self._task is not None:  # the owner begins anew, from what is durable
                self._task.cancel()

    async def _deliver(self, delivery: QueuedDelivery, probe_of: float | None) -> None:
        name = self._subscription.id
        with self._metrics.call_seconds.labels(name).time():
            answer = await self._caller.call(delivery.event)
        now = self._now()
        self._circuit = circuits.ended(
            self._circuit,
            "failed" if answer.is_outage else "answered",
            now,
            self._settings.circuit,
            probe_of=probe_of,
            pause_seconds=answer.pause_seconds,
        )
        if answer.pause_seconds:
            self._paused_until = max(self._paused_until, now + answer.pause_seconds)
        if answer.reason is None:
            await self._finish(delivery)
            self._count_delivered(delivery)
        elif answer.reason == "gone":
            await self._disable()
            self._hold(delivery, answer.reason)
        elif self._circuit.opened_at is not None and answer.is_outage:
            self._hold(delivery, answer.reason)
        else:
            await self._failed(delivery, answer.reason, answer.pause_seconds)

    def _hold(self, delivery: QueuedDelivery, reason: DeliveryReason) -> None:
        """It counts as no attempt, and waits behind the others for the next probe."""
        self._metrics.deliveries.labels(self._subscription.id, "held", reason).inc()
        self.queue.put_back(delivery, _NO_HOLD)

    async def _failed(self, delivery: QueuedDelivery, reason: DeliveryReason, pause_seconds: float) -> None:
        delivery.attempts += 1
        delivery.first_failed_at = delivery.first_failed_at or rfc3339()
        delay_seconds = retry_delay_seconds(delivery.attempts, pause_seconds, self._settings)
        if delay_seconds is None:
            name = self._subscription.id
            await self._writer.publish([dead_letter(delivery, reason, name, self._kafka)])
            await self._finish(delivery)
            self._metrics.deliveries.labels(name, "dead", reason).inc()
            event(logger, "delivery_dead", level=logging.WARNING, subscription=name, reason=reason)
            return
        delay_seconds *= 1 + _JITTER_SHARE * fraction(f"{delivery.event.event_id}/{delivery.attempts}")
        delivery.due_seconds = self._now() + delay_seconds
        await self._save([delivery])
        await self._save(self.queue.to_be_saved(delivery.event.order_key))
        self._metrics.deliveries.labels(self._subscription.id, "retried", reason).inc()
        self.queue.put_back(delivery, delivery.due_seconds)

    async def _save(self, deliveries: Sequence[QueuedDelivery]) -> None:
        for one in deliveries:
            one.recorded = True  # before it is written: from now on it needs a tombstone
        name = self._subscription.id
        await self._writer.publish([waiting_record(one, name, self._kafka) for one in deliveries])
        for one in deliveries:
            self.queue.saved(one)

    async def _finish(self, delivery: QueuedDelivery) -> None:
        if delivery.recorded:
            await self._writer.publish([tombstone(delivery, self._subscription.id, self._kafka)])
        self.queue.finish(delivery)

    async def _disable(self) -> None:
        name = self._subscription.id
        if self._is_off():
            return
        self._is_disabled = True
        await self._writer.publish([state_record(name, "disabled", "subscriber", self._kafka)])
        await self._state.catch_up()
        self._is_disabled = False
        event(logger, "subscription_disabled", level=logging.WARNING, subscription=name, reason="gone")

    def _count_delivered(self, delivery: QueuedDelivery) -> None:
        name = self._subscription.id
        self._metrics.deliveries.labels(name, "delivered", "").inc()
        happened = parse_time(delivery.event.happened_at)
        if happened is not None:
            age = utc_now() - happened
            self._metrics.age_seconds.labels(name).observe(max(age, timedelta()).total_seconds())
