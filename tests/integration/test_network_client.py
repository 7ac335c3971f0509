"""The producer's work between the event loop and the producer's thread, at a real broker."""

import asyncio
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic
from kafka.producer.sender import Sender

from paynotify.ingest.group_producer import GroupProducer, connect
from paynotify.ingest.limits import Slots
from paynotify.ingest.publisher import NotificationPublisher
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.kafka import KafkaSettings

DEADLINE_SECONDS = 30
FROZEN_SECONDS = 0.3


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


async def stored(publisher: NotificationPublisher, slots: Slots, topic: str, count: int) -> int:
    """How many of so many records the brokers stored."""
    outcomes: list[bool] = []
    for number in range(count):
        slots.take()
        if not publisher.publish(topic, b"shop-uk/%d" % number, b"", [], outcomes.append):
            slots.release()
            outcomes.append(False)
    await until(lambda: len(outcomes) == count)
    return outcomes.count(True)


def lose_connections(producer: GroupProducer) -> None:
    """As when brokers restart: the other end of each connection closes it."""
    for connection in producer._producer._sender._client._manager._conns.values():
        connection.transport._sock.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def publishing(kafka: str, slots: Slots) -> AsyncIterator[tuple[GroupProducer, NotificationPublisher, str]]:
    """A producer, its publisher and their topic."""
    topic = f"test-{uuid.uuid4().hex[:8]}"
    admin = await asyncio.to_thread(lambda: KafkaAdminClient(bootstrap_servers=kafka))
    await asyncio.to_thread(admin.create_topics, [NewTopic(topic, 4, 1)])
    settings, loop = KafkaSettings(bootstrap_servers=kafka), asyncio.get_running_loop()
    producer = await asyncio.to_thread(connect, settings, IngestSettings(), [topic], loop)
    publisher = NotificationPublisher(slots, timeout_seconds=DEADLINE_SECONDS)
    publisher.open(producer, {topic: 4})
    try:
        yield producer, publisher, topic
    finally:
        await publisher.close()
        await asyncio.to_thread(admin.delete_topics, [topic])
        await asyncio.to_thread(admin.close)


@pytest.mark.kafka
async def test_loop_does_the_work_and_never_looks_up_a_name(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = Slots(1000)
    looked_up: list[int] = []
    look_up = socket.getaddrinfo

    def noted(*arguments: Any, **options: Any) -> Any:
        looked_up.append(threading.get_ident())
        return look_up(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    async with publishing(kafka, slots) as (producer, publisher, topic):
        assert await stored(publisher, slots, topic, 100) == 100
        await until(lambda: producer._turns.has_the_work)
        assert await stored(publisher, slots, topic, 100) == 100
        assert producer._turns.has_the_work, "nothing could block"
        for _ in range(3):
            looked_up.clear()
            lose_connections(producer)
            assert await stored(publisher, slots, topic, 100) == 100
            await until(lambda: bool(looked_up) and producer._turns.has_the_work)
            assert threading.get_ident() not in looked_up, "a name was looked up in the event loop"
    assert not producer._producer._sender.is_alive(), "closing ends the thread too"
    assert slots.taken == 0


@pytest.mark.kafka
async def test_rounds_wait_while_a_broker_takes_nothing(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen broker has as many requests as it may until they time out: thousands of rounds a second were made."""
    slots, outcomes = Slots(10), list[bool]()
    rounds: list[int] = []
    run_once = Sender.run_once

    def counted(sender: Any) -> None:
        rounds.append(threading.get_ident())
        run_once(sender)

    monkeypatch.setattr(Sender, "run_once", counted)
    async with publishing(kafka, slots) as (producer, publisher, topic):
        assert await stored(publisher, slots, topic, 10) == 10
        await until(lambda: producer._turns.has_the_work)
        manager = producer._producer._sender._client._manager
        node = manager.cluster.leader_for_partition(TopicPartition(topic, 0))
        connection = manager._conns[node]
        connection.pause("max_in_flight")
        rounds.clear()
        slots.take()
        assert publisher.publish(topic, b"shop-uk/1", b"", [], outcomes.append)
        await asyncio.sleep(FROZEN_SECONDS)
        assert 0 < len(rounds) < 20
        assert set(rounds) == {threading.get_ident()}
        assert not outcomes
        connection.unpause("max_in_flight")
        assert await stored(publisher, slots, topic, 1) == 1, "it makes a round"
        await until(lambda: outcomes == [True])
