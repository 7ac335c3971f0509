"""orders: what was sold against what was paid. Joins expectations with payments, and misses those that don't come.

Its log, ``payments.orders``, holds for each order what the shop expects, which payments were seen, and the times that
have come (`processors.runtime.timers`). Everything follows from that order of records, so a batch repeated after a
crash says the same again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from processors.dead_letters import ended
from processors.limits.hourly_quota import HourlyQuota
from processors.metrics import Metrics
from processors.orders import provider_silence
from processors.orders.order_state import OrderState, weight
from processors.orders.provider_silence import SilenceState
from processors.runtime.loop import BatchContext
from processors.runtime.timers import TimerService
from processors.state import timer_queue
from processors.state.partition_state import Overlay
from processors.state.timer_queue import Timer
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.model import KafkaSettings, OverdueSettings, SilenceSettings
from schemas.errors import UnreadableError
from schemas.ids import derived_id
from schemas.messages import (
    Expectation,
    ExpectedPayment,
    HeardOf,
    Lookup,
    Observation,
    OverduePayment,
    PaymentSeen,
    ProviderSilent,
    TimeReached,
)
from schemas.records import Output, Record
from schemas.times import rfc3339
from service.logs import event

logger = logging.getLogger("paynotify.orders")

#: The lane of all orders that become overdue.
RAISE: Final = "raise"

_MOST_PAYMENTS: Final = 20
_JITTER_SHARE: Final = 0.1


def look_lane(merchant: str) -> str:
    """The lane of a merchant's recovery lookups."""
    return f"look/{merchant}"


#: The recovery lookup that the provider's rules allow for an order or payment, with its record's key, or none:
#: ``(merchant, order_id, payment_id, cause, at)``.
Recover = Callable[[str, str | None, str | None, str, str], tuple[bytes, Lookup] | None]


_STATE: Final = msgspec.json.Decoder(OrderState)
_HEARING: Final = msgspec.json.Decoder(SilenceState)


class OrderTimers(TimerService):
    """Tells the times of orders."""

    def __init__(
        self, topic: str, lanes: Mapping[str, HourlyQuota | None], metrics: Metrics, *, settles: Mapping[str, float]
    ) -> None:
        super().__init__(topic, lanes, lambda entry: entry.name, settles=settles)
        self._silent = metrics.silent

    def lost(self, partition: int) -> None:
        # who is silent is known to the partition's next holder alone; of the others the next order says it again
        self._silent.clear()


class OrdersStage:
    """The stage for all providers. Its state is each order's, and how each provider is heard."""

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
        self._topic = kafka.topic
        self._metrics = metrics
        self._recover = recover
        self._overdue = overdue
        self._silence = provider_silence

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """What each record changes for its order."""
        return [output for record in context.records for output in self._outputs(record, context.state)]

    def dead_letter(self, record: Record) -> Output:
        self._metrics.dead.labels(self.provider, self.name, "internal_error").inc()
        return ended(record, self._topic(topics.DEAD), "internal_error")

    def _outputs(self, record: Record, state: Overlay) -> list[Output]:
        kind = record.header("ce_type")
        if kind == messages.ORDER_HEARD_OF:
            return self._heard_of(messages.decode(record.value, HeardOf), state)
        order = _Order(self, state, (record.key or b"").decode())
        if order.provider is None:  # the merchant was taken out of the configuration
            if kind == messages.TIME_REACHED:
                # entries that stay are the oldest of their lane: a few hundred would keep all others from their turn
                timer_queue.remove(state, _entry(messages.decode(record.value, TimeReached)))
            return []
        if kind == messages.PAYMENT_EXPECTED:
            expected = messages.decode(record.value, ExpectedPayment)
            order.expect(expected, record.header("said"), record.header("ce_time"))
        elif kind == messages.PAYMENT_SEEN:
            order.see(messages.decode(record.value, PaymentSeen))
        elif kind == messages.TIME_REACHED:
            order.come_to(messages.decode(record.value, TimeReached), record.timestamp_seconds)
        else:
            raise UnreadableError(f"no record of {self.name} is of this type")
        return order.end()

    def _heard_of(self, told: HeardOf, state: Overlay) -> list[Output]:
        """By provider; and by merchant, whose broken webhook would hide among those of others."""
        hearing, outputs = self._listen(told, None, state, judged=True)
        if list(self._providers.values()).count(told.provider) > 1:
            # while the provider is silent as a whole, that is said once
            outputs += self._listen(told, told.merchant, state, judged=not hearing.silent)[1]
        return outputs

    def _listen(
        self, told: HeardOf, merchant: str | None, state: Overlay, *, judged: bool
    ) -> tuple[SilenceState, list[Output]]:
        key = b"heard\0" + (told.provider if merchant is None else f"{told.provider}/{merchant}").encode()
        known = state.get(key)
        before = _HEARING.decode(known) if known else SilenceState()
        if told.heard:
            after = provider_silence.hear(before, told.at)
        else:
            after = provider_silence.miss(before, told.at, told.sold_at, self._silence)
            if not judged:
                after = replace(after, silent=before.silent)
        state.put(key, messages.encode(after))
        self._metrics.silent.labels(told.provider, merchant or "").set(after.silent)
        if after.silent == before.silent:
            return after, []
        return after, [self._silent(told, merchant, after if after.silent else before, after.silent)]

    def _silent(self, told: HeardOf, merchant: str | None, hearing: SilenceState, silent: bool) -> Output:
        said = ProviderSilent(
            event_id="",
            state="silent" if silent else "heard",
            provider=told.provider,
            unheard=hearing.unheard,
            since=hearing.since,
            at=told.at,
            urgent=silent and provider_silence.urgent(hearing, told.at, self._silence),
            merchant=merchant,
        )
        said = replace(said, event_id=derived_id("silent", messages.encode(said).decode()))
        event(
            logger,
            "provider_silent" if silent else "provider_resumed",
            level=logging.WARNING,
            provider=told.provider,
            merchant=merchant,
            unheard=hearing.unheard,
            since=hearing.since,
        )
        headers = cloud_event(
            event_id=said.event_id, source="/orders", event_type=messages.PROVIDER_SILENT, event_time=told.at
        )
        return Output(self._topic(topics.SILENT), told.provider.encode(), messages.encode(said), headers)


class _Order:
    """One order while one record is handled: its state before and after, and what is to be published."""

    def __init__(self, stage: OrdersStage, state: Overlay, name: str) -> None:
        self._stage = stage
        self._overlay = state
        self._name = name
        self._key = b"order\0" + name.encode()
        self.merchant, _, self._order_id = name.partition("/")
        self.provider = stage._providers.get(self.merchant)
        known = state.get(self._key)
        self._before = self._state = _STATE.decode(known) if known else OrderState()
        self._outputs: list[Output] = []

    def end(self) -> list[Output]:
        """Put the state and return what is to be published."""
        if self._state != self._before:
            self._overlay.put(self._key, messages.encode(self._state))
        return self._outputs

    def expect(self, expected: ExpectedPayment, said: str, at: str) -> None:
        """The shop says what it sold; of two words about one order the newer counts, in whatever order they come."""
        self._announce(expected.payment_id, said)
        if self._state.expected is None or said > self._state.said:
            self._change(expected=expected, said=said)
        elif self._state.announced == self._before.announced:
            return
        self._pay()
        for payment_id in dict.fromkeys((*self._state.announced, *self._state.payments)):
            self._observe(payment_id, at)
        if self._state.payments:
            self._tell(heard=True, at=at)
        self._follow(at)

    def see(self, payment: PaymentSeen) -> None:
        """A payment has a new state; what is older than the known one was read again, and says nothing."""
        known = self._state.payments.get(payment.payment_id)
        if known == payment:
            return  # repeated after a crash; what it was compared with then is no news by now
        if known is not None and 0 < payment.sequence < known.sequence:
            return
        others = {name: one for name, one in self._state.payments.items() if name != payment.payment_id}
        if len(others) >= _MOST_PAYMENTS:
            del others[min(others, key=lambda name: weight(others[name]))]
        self._change(payments={**others, payment.payment_id: payment})
        if self._state.expected is None:
            return
        self._pay()
        if payment.expected != self._expectation(payment.payment_id):
            self._observe(payment.payment_id, payment.observed_at)
        if self._state.paid_by != self._before.paid_by:
            # before they are paid too: those that ended may still turn into late successes, and are told then
            for payment_id in self._state.open(but=payment.payment_id):
                self._observe(payment_id, payment.observed_at)
        self._tell(heard=True, at=payment.observed_at)
        self._follow(payment.observed_at)

    def come_to(self, time: TimeReached, told_seconds: float) -> None:
        """A time has come, and was told at that Unix time; one that nobody waits for any more is left."""
        entry = _entry(time)
        if self._state.due != (entry.lane, entry.due_milliseconds) or self._state.expected is None:
            timer_queue.remove(self._overlay, entry)
            return
        at = max(time.due, rfc3339(datetime.fromtimestamp(told_seconds, UTC)))
        # of the looks whose time went by while nobody worked only the last is made up for
        self._change(looks=max(self._state.looks, self._looks_until(at) - 1))
        if time.lane == RAISE:
            self._tell(heard=False, at=time.due)
            self._change(overdue=True, raised=True)
            self._overdue("raised", time.due)
        else:
            self._look(at)
        self._plan(self._next_look())

    def _follow(self, at: str) -> None:
        """Wait for what is still missing, and for nothing once the order is settled."""
        expected = self._state.expected
        assert expected is not None
        if self._state.settled is not None:
            self._plan(None)
            if self._state.overdue:
                self._change(overdue=False)
                self._overdue("cleared", at)
        elif expected.final_by is None:
            self._plan(None)
        elif not self._state.raised:
            self._plan((RAISE, timer_queue.parse_milliseconds(expected.final_by)))
        elif self._state.due is None:
            self._plan(self._next_look())

    def _pay(self) -> None:
        """Let the order be paid by the first payment that took what was expected; any other is one too many."""
        if self._state.paid_by is None and (payer := self._state.payer) is not None:
            self._change(paid_by=payer.payment_id)

    def _change(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]  # the fields' own types

    def _announce(self, payment_id: str | None, said: str) -> None:
        """Remember the newest ids that the shop named: an order paid at its second try may have been paid at both."""
        if payment_id is None:
            return
        announced = {**self._state.announced}
        announced[payment_id] = max(said, announced.get(payment_id, ""))
        newest = sorted(announced, key=announced.__getitem__)[-_MOST_PAYMENTS:]
        self._change(announced={one: announced[one] for one in newest})

    def _expectation(self, payment_id: str) -> Expectation:
        expected, paid_by = self._state.expected, self._state.paid_by
        assert expected is not None
        return Expectation(
            order_id=expected.order_id,
            amount=expected.amount,
            said=self._state.said,
            announced=self._state.announced.get(payment_id, ""),
            paid_by=None if paid_by == payment_id else paid_by,
        )

    def _observe(self, payment_id: str, at: str) -> None:
        """Tell resolve what is expected of the payment."""
        assert self.provider is not None
        said = Observation(
            provider=self.provider,
            merchant=self.merchant,
            payment_id=payment_id,
            order_id=None,
            status=None,
            source="payments.expected",
            observed_at=at,
            expected=self._expectation(payment_id),
        )
        value = messages.encode(said)
        headers = cloud_event(
            event_id=derived_id("observation", value.decode()),
            source="/orders",
            event_type=messages.PAYMENT_OBSERVED,
            event_time=at,
        )
        self._publish(topics.OBSERVATIONS, f"{self.merchant}/{payment_id}", value, headers)

    def _tell(self, *, heard: bool, at: str) -> None:
        """Count the order once: whether the provider told of it before it was due."""
        if self._state.told:
            return
        self._change(told=True)
        if not heard and self._state.payments:
            heard = True
        self._count("observed" if heard else "missed")
        expected = self._state.expected
        assert expected is not None
        assert self.provider is not None
        told = HeardOf(
            provider=self.provider,
            merchant=self.merchant,
            order_id=self._order_id,
            heard=heard,
            at=at,
            sold_at=expected.created_at,
        )
        headers = cloud_event(
            event_id=derived_id("heard", self._name),
            source="/orders",
            event_type=messages.ORDER_HEARD_OF,
            event_time=at,
        )
        # by provider alone: all its orders are added up in one place
        self._publish(topics.ORDERS, self.provider, messages.encode(told), headers)

    def _overdue(self, word: Literal["raised", "cleared"], at: str) -> None:
        expected, payments = self._state.expected, list(self._state.payments.values())
        assert expected is not None
        assert self.provider is not None
        told = self._state.settled or (payments[-1] if payments else None)
        said = OverduePayment(
            event_id="",
            state=word,
            provider=self.provider,
            merchant=self.merchant,
            order_id=self._order_id,
            payment_id=told.payment_id if told else next(reversed(self._state.announced), None),
            status=told.status if told else None,
            amount=expected.amount,
            created_at=expected.created_at,
            final_by=expected.final_by or "",
            at=at,
        )
        said = replace(said, event_id=derived_id("overdue", messages.encode(said).decode()))
        self._count("overdue" if word == "raised" else "cleared")
        headers = cloud_event(
            event_id=said.event_id, source="/orders", event_type=messages.PAYMENT_OVERDUE, event_time=at
        )
        self._publish(topics.OVERDUE, self._name, messages.encode(said), headers)

    def _look(self, at: str) -> None:
        """Ask the provider, where its rules allow it: for the order, and for each payment that is still open."""
        self._change(looks=self._state.looks + 1)
        cause = f"overdue/{self._name}/{self._state.looks}"
        asked = set()
        for payment_id in (None, *self._state.open()):
            allowed = self._stage._recover(self.merchant, self._order_id, payment_id, cause, at)
            # a provider that finds payments by their order is asked once
            if allowed is not None and (question := messages.encode(allowed[1])) not in asked:
                asked.add(question)
                self._count("polled")
                self._ask(*allowed, f"{cause}/{payment_id}", at)

    def _ask(self, key: bytes, lookup: Lookup, cause: str, at: str) -> None:
        headers = cloud_event(
            event_id=derived_id("lookup", cause),
            source="/orders",
            event_type=messages.LOOKUP_REQUESTED,
            event_time=at,
        )
        self._publish(topics.lookups(lookup.provider), key.decode(), messages.encode(lookup), headers)

    @property
    def _ladder(self) -> tuple[float, ...]:
        assert self.provider is not None
        ladder: tuple[float, ...] = getattr(self._stage._overdue.poll_schedule_seconds, self.provider)
        return ladder

    def _looks_until(self, at: str) -> int:
        """How many looks have their time before that moment."""
        expected = self._state.expected
        if expected is None or expected.final_by is None:
            return 0
        passed_seconds = (timer_queue.parse_milliseconds(at) - timer_queue.parse_milliseconds(expected.final_by)) / 1000
        return sum(one <= passed_seconds for one in self._ladder)

    def _next_look(self) -> tuple[str, int] | None:
        expected, looks, ladder = self._state.expected, self._state.looks, self._ladder
        if looks >= len(ladder) or expected is None or expected.final_by is None:
            return None
        spacing_seconds = ladder[looks] - (ladder[looks - 1] if looks else 0.0)
        jitter_seconds = _chance(f"{self._name}/{looks}") * _JITTER_SHARE * spacing_seconds
        return look_lane(self.merchant), timer_queue.parse_milliseconds(expected.final_by) + round(
            (ladder[looks] + jitter_seconds) * 1000
        )

    def _plan(self, planned: tuple[str, int] | None) -> None:
        """Let the order be on the agenda for this time only, or for none."""
        if planned == self._state.due:
            return
        if self._state.due is not None:
            timer_queue.remove(self._overlay, Timer(*self._state.due, self._name))
        if planned is not None:
            timer_queue.add(self._overlay, Timer(*planned, self._name))
        self._change(due=planned)

    def _publish(self, topic: str, key: str, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
        self._outputs.append(Output(self._stage._topic(topic), key.encode(), value, headers))

    def _count(self, outcome: str) -> None:
        self._stage._metrics.expected.labels(self.provider, outcome).inc()


def _entry(time: TimeReached) -> Timer:
    return Timer(time.lane, timer_queue.parse_milliseconds(time.due), time.name)


def _chance(text: str) -> float:
    """A number from 0 to 1 that is always the same for the same text: looks are spread, and repeatable."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
