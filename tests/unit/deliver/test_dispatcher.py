"""What becomes of deliveries: order of durability, retries, the circuit, pauses, and a subscriber that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from prometheus_client import CollectorRegistry

from paynotify.deliver.answer import DELIVERED, SubscriberAnswer
from paynotify.deliver.delivery_queue import QueuedDelivery
from paynotify.deliver.dispatcher import Dispatcher
from paynotify.deliver.metrics import DeliverMetrics
from paynotify.deliver.result_event import ResultEvent
from paynotify.deliver.state_reader import StateReader
from paynotify.deliver.waiting import restored
from paynotify.schemas.configuration.deliver import DeliverSettings, SubscriberCircuitSettings, Subscription
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.messages.encoding import decode
from paynotify.schemas.records import Output, Record
from tests.fakes.deliveries import queued, status_event

OUTAGE = SubscriberAnswer("failing", is_outage=True)
REFUSAL = SubscriberAnswer("refused")


class World:
    """A subscriber, the topics and the clock of one dispatcher."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.answer: Callable[[ResultEvent], SubscriberAnswer] = lambda event: DELIVERED
        self.calls: list[tuple[str, int]] = []
        self.written: list[Output] = []
        self.disabled = False
        self.log: list[str] = []

    async def call(self, event: ResultEvent) -> SubscriberAnswer:
        payment = (event.record.key or b"").decode().partition("/")[2]
        self.calls.append((payment, event.record.offset))
        self.log.append("call")
        return self.answer(event)

    async def publish(self, outputs: Sequence[Output]) -> None:
        await asyncio.sleep(0)
        self.written += outputs
        self.log += [f"{one.topic} {'tombstone' if one.value is None else 'record'}" for one in outputs]
        self.disabled = self.disabled or any(one.key == b"erp" for one in outputs)

    def is_disabled(self, subscription: str) -> bool:
        return self.disabled

    async def catch_up(self) -> None:
        return


@asynccontextmanager
async def dispatching(
    world: World, waiting: Sequence[QueuedDelivery] = (), **settings: Any
) -> AsyncIterator[Dispatcher]:
    subscription = Subscription(id="erp", url="https://erp.shop.example", secrets=(SecretRef(value="x"),))
    chosen = DeliverSettings(**{"retry_delays_seconds": (5.0, 30.0), "retries": 3, **settings})
    dispatcher = Dispatcher(
        subscription,
        chosen,
        KafkaSettings(),
        world,
        world,
        cast(StateReader, world),
        DeliverMetrics(CollectorRegistry()),
        now=lambda: world.now,
    )
    dispatcher.start(waiting)
    try:
        yield dispatcher
    finally:
        await dispatcher.stop(0)


async def settled(dispatcher: Dispatcher) -> None:
    """Let everything happen that can happen now."""
    dispatcher.changed()
    for _ in range(50):
        await asyncio.sleep(0)


async def read(dispatcher: Dispatcher, *deliveries: QueuedDelivery) -> None:
    await dispatcher.add(deliveries)
    for one in deliveries:
        dispatcher.queue.read_past(one.place, one.offset)
    await settled(dispatcher)


async def test_delivered_event_writes_nothing_and_frees_its_offset() -> None:
    world = World()
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0), queued("a", 2, 1))
        assert world.log == ["call", "call"]
        assert dispatcher.queue.positions() == {("payments.status", 0): 2}


async def test_refused_event_is_saved_with_those_behind_it_before_its_offset_is_free() -> None:
    world = World()
    world.answer = lambda event: REFUSAL
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0), queued("a", 2, 1))
        assert world.log == ["call", "deliveries.state record", "deliveries.state record"]
        assert dispatcher.queue.positions() == {("payments.status", 0): 2}
        await read(dispatcher, queued("a", 3, 2), queued("b", 1, 3))  # the payment's next one is saved at once
        assert dispatcher.queue.positions() == {("payments.status", 0): 4}
        assert [one.key for one in world.written].count(f"erp/{status_event('a', 3, 2).event_id}".encode()) == 1
        world.answer = lambda event: DELIVERED
        world.now += 6
        await settled(dispatcher)
        assert [offset for payment, offset in world.calls if payment == "a"] == [0, 0, 1, 2]
        assert [one.value for one in world.written[-4:]] == [None] * 4
        assert len(dispatcher.queue) == 0


async def test_waiting_delivery_is_restored_with_its_attempts_and_due_time() -> None:
    world = World()
    world.answer = lambda event: REFUSAL
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 7))
    (record,) = world.written
    back = restored(Record(record.topic, 0, 0, record.key, record.value, record.headers, 0.0))
    assert back is not None
    assert (back.attempts, back.offset, back.saved) == (1, 7, True)
    assert 1005 <= back.due_seconds <= 1005.5
    world.answer = lambda event: DELIVERED
    async with dispatching(world, [back]) as dispatcher:
        await settled(dispatcher)
        assert len(world.calls) == 1
        world.now = 1006.0
        await settled(dispatcher)
        assert len(world.calls) == 2
    assert world.written[-1].value is None


async def test_event_is_dead_after_the_last_retry_and_its_payment_goes_on() -> None:
    world = World()
    world.answer = lambda event: REFUSAL if event.record.offset == 0 else DELIVERED
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0), queued("a", 2, 1))
        for _ in range(4):
            world.now += 60
            await settled(dispatcher)
    assert world.calls == [("a", 0)] * 4 + [("a", 1)]
    dead = [one for one in world.written if one.topic == "deliveries.dead"]
    assert len(dead) == 1
    headers = dict(dead[0].headers)
    assert (headers["reason"], headers["attempts"], headers["subscription"]) == (b"refused", b"4", b"erp")
    assert headers["original-topic"] == b"deliveries.replayed"
    after = world.log.index("deliveries.dead record")
    assert world.log[after + 1] == "deliveries.state tombstone"


async def test_outage_holds_all_back_without_attempts_until_a_probe_succeeds() -> None:
    world = World()
    world.answer = lambda event: OUTAGE
    circuit = SubscriberCircuitSettings(failures=3, within_seconds=60, probe_seconds=5)
    async with dispatching(world, circuit=circuit) as dispatcher:
        await read(dispatcher, *(queued(f"p{number}", 1, number) for number in range(8)))
        assert dispatcher.room == 0
        saved = len(world.written)
        assert saved == 2  # those before the circuit opened
        calls = len(world.calls)
        for _ in range(200):
            world.now += 5.1
            await settled(dispatcher)
        assert len(world.calls) == calls + 200  # one probe at a time
        assert len({payment for payment, _ in world.calls[calls : calls + 16]}) == 8  # each payment in turn
        assert len(world.written) == saved  # nothing is given up, however long it takes
        world.answer = lambda event: DELIVERED
        world.now += 5.1
        await settled(dispatcher)
        assert len(dispatcher.queue) == 0
        assert dispatcher.room > 0


async def test_busy_subscriber_is_left_alone_for_as_long_as_it_asks() -> None:
    world = World()
    world.answer = lambda event: SubscriberAnswer("busy", is_outage=True, pause_seconds=60)
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0))
        await read(dispatcher, queued("b", 1, 1))
        assert world.calls == [("a", 0)]
        assert dispatcher.room == 0
        world.now += 59
        await settled(dispatcher)
        assert world.calls == [("a", 0)]
        world.answer = lambda event: DELIVERED
        world.now += 8  # with the retry's own jitter
        await settled(dispatcher)
        assert sorted(world.calls) == [("a", 0), ("a", 0), ("b", 1)]


async def test_gone_subscriber_is_disabled_durably_and_called_no_more() -> None:
    world = World()
    world.answer = lambda event: SubscriberAnswer("gone")
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0))
        await read(dispatcher, queued("b", 1, 1))
        assert world.calls == [("a", 0)]
        (record,) = world.written
        assert record.key == b"erp"
        assert decode(record.value, dict[str, str])["state"] == "disabled"
        assert dispatcher.queue.positions() == {("payments.status", 0): 0}
        world.answer = lambda event: DELIVERED
        world.disabled = False
        await settled(dispatcher)
        assert len(dispatcher.queue) == 0


async def test_reading_stops_while_too_many_deliveries_wait() -> None:
    world = World()
    world.answer = lambda event: REFUSAL
    async with dispatching(world, waiting_deliveries=3) as dispatcher:
        await read(dispatcher, queued("a", 1, 0), queued("b", 1, 1))
        assert dispatcher.room > 0
        await read(dispatcher, queued("c", 1, 2))
        assert dispatcher.room == 0


async def test_unforeseen_error_ends_the_dispatcher_for_its_owner_to_begin_anew() -> None:
    world = World()

    def wrong(event: ResultEvent) -> SubscriberAnswer:
        raise RuntimeError

    world.answer = wrong
    async with dispatching(world) as dispatcher:
        await read(dispatcher, queued("a", 1, 0))
        assert dispatcher.failed
        assert dispatcher.queue.positions() == {("payments.status", 0): 0}
