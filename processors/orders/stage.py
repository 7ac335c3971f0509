"""orders: compares expected payments with observed ones, and reports and polls the overdue ones.

The stage's topic, ``payments.orders``, holds for each order the shop's expectation, changes of its payments, and
due timers (`processors.runtime.timers`). `processors.orders.state_machine` decides the effects of each record. They
depend on the records and their order only, so a batch processed again after a crash has the same outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders import state_machine
from paynotify.processors.orders.order_state import OrderState
from paynotify.processors.orders.outputs import OrderOutputs, Recover
from paynotify.processors.orders.silence_monitor import SilenceMonitor
from paynotify.processors.orders.state_machine import (
    ComparePayment,
    Effect,
    Order,
    PollProvider,
    ReportOrder,
    ReportOverdue,
    Transition,
)
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state import timer_queue
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages, topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.worker import OverdueSettings, SilenceSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import ExpectedPayment, HeardOf, PaymentSeen, TimeReached
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339_of

_STATE: Final = msgspec.json.Decoder(OrderState)


class OrdersStage:
    """The stage for all providers. Its state holds each order, and the silence of each provider."""

    name = "orders"
    provider = "all"

    def __init__(
        self,
        providers: Mapping[str, str],
        kafka: KafkaSettings,
        metrics: Metrics,
        recover: Recover,
        overdue: OverdueSettings,
        provider_silence: SilenceSettings,
    ) -> None:
        """``providers`` is each merchant's provider."""
        self._providers = providers
        self._dead = kafka.topic(topics.DEAD)
        self._metrics = metrics
        self._overdue = overdue
        self._outputs = OrderOutputs(kafka, recover)
        self._silence = SilenceMonitor(providers, kafka, metrics, provider_silence)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """What each record changes for its order."""
        return [output for record in context.records for output in self._process(record, context.state)]

    def dead_letter(self, record: Record) -> Output:
        self._metrics.dead_letters.labels(self.provider, self.name, "internal_error").inc()
        return dead_lettered(record, self._dead, "internal_error")

    def _process(self, record: Record, overlay: Overlay) -> list[Output]:
        if record.header("ce_type") == messages.ORDER_HEARD_OF:
            return self._silence.count(messages.decode(record.value, HeardOf), overlay)
        name = (record.key or b"").decode()
        order = self._order(name)
        if order is None:
            self._drop_timer(record, overlay)
            return []
        key = b"order\0" + name.encode()
        stored = overlay.get(key)
        before = _STATE.decode(stored) if stored else OrderState()
        after, effects = self._transition(order, before, record, overlay)
        if after.due != before.due:
            _set_timer(overlay, name, before, after)
        if after != before:
            overlay.put(key, messages.encode(after))
        return [output for effect in effects for output in self._published(order, effect)]

    def _order(self, name: str) -> Order | None:
        """The order of that name; None if its merchant is not in the configuration any more."""
        merchant, _, order_id = name.partition("/")
        provider = self._providers.get(merchant)
        if provider is None:
            return None
        return Order(merchant, order_id, provider, self._overdue.poll_schedule(provider))

    def _transition(self, order: Order, state: OrderState, record: Record, overlay: Overlay) -> Transition:
        match record.header("ce_type"):
            case messages.PAYMENT_EXPECTED:
                expected = messages.decode(record.value, ExpectedPayment)
                version, at = record.header("said"), record.header("ce_time")
                return state_machine.expectation_registered(order, state, expected, version, at)
            case messages.PAYMENT_SEEN:
                return state_machine.payment_observed(order, state, messages.decode(record.value, PaymentSeen))
            case messages.TIME_REACHED:
                time = messages.decode(record.value, TimeReached)
                published_at = rfc3339_of(record.timestamp_seconds)
                transition = state_machine.timer_fired(order, state, time, published_at)
                if transition is None:
                    timer_queue.remove(overlay, _timer(time))
                    return Transition(state)
                return transition
        raise UnreadableError(f"the stage {self.name} has no record of this type")

    def _drop_timer(self, record: Record, overlay: Overlay) -> None:
        """Remove a due timer of an order whose merchant is gone. Timers that stay are the oldest of their queue: a few
        hundred of them would block all others."""
        if record.header("ce_type") == messages.TIME_REACHED:
            timer_queue.remove(overlay, _timer(messages.decode(record.value, TimeReached)))

    def _published(self, order: Order, effect: Effect) -> list[Output]:
        outputs = self._outputs.of(order, effect)
        match effect:
            case ReportOrder(observed=observed):
                self._count(order, "observed" if observed else "missed")
            case ReportOverdue(state="cleared"):
                self._count(order, "cleared")
            case ReportOverdue(reason=reason):
                self._count(order, "overdue" if reason is None else "settlement_late")
            case PollProvider() if outputs:
                self._count(order, "polled", len(outputs))
            case ComparePayment() | PollProvider():
                pass
        return outputs

    def _count(self, order: Order, outcome: str, amount: int = 1) -> None:
        self._metrics.expected.labels(order.provider, outcome).inc(amount)


def _set_timer(overlay: Overlay, name: str, before: OrderState, after: OrderState) -> None:
    """Let the order have the timer of its new state only, or none."""
    if before.due is not None:
        timer_queue.remove(overlay, Timer(*before.due, name))
    if after.due is not None:
        timer_queue.add(overlay, Timer(*after.due, name))


def _timer(time: TimeReached) -> Timer:
    return Timer(time.lane, timer_queue.parse_milliseconds(time.due), time.name)
