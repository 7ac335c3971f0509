"""The stage runner: its clients are the patched ones, and it knows when it has failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.tables.recovery import Recovery, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from mode.supervisors import OneForOneSupervisor

from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.runtime.faust_app import REQUEST_SECONDS
from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.runner import StageRunner
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.processors.transport.faust_consumer import FaustConsumer
from paynotify.processors.transport.faust_driver import FaustProducer
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.worker import DeadLetterLimit
from tests.fakes import configurations
from tests.fakes.stages import metrics


def runner(directory: Path, session_seconds: float = 10.0) -> StageRunner:
    document = configurations.document("127.0.0.1:1", "", directory)
    document["worker"] = {**document.get("worker", {}), "session_timeout_seconds": session_seconds}
    file = configurations.write(directory, document)
    specs = (StageSpec(RetryStage("nevogate", load(file).kafka), ("a.topic",), 10),)
    settings = LoopSettings(0.01, DeadLetterLimit())
    return StageRunner("fetch.nevogate", specs, load(file), metrics(), directory, settings, BrokersClock())


async def test_runner_uses_its_own_consumer_and_an_idempotent_producer(tmp_path: Path) -> None:
    app = runner(tmp_path).app
    assert isinstance(app.consumer, FaustConsumer)
    assert isinstance(app.producer, FaustProducer)
    client = app.producer._new_producer()
    assert client._txn_manager is not None
    client._closed = True  # it was never started


@pytest.mark.parametrize("session_seconds", [1.0, 6.0, 45.0])
async def test_requests_of_every_client_time_out_alike(tmp_path: Path, session_seconds: float) -> None:
    """Faust's producer would wait twenty minutes for a response, and its consumer as long as a session at least."""
    app = runner(tmp_path, session_seconds).app
    producer = app.producer._new_producer()
    consumer = app.consumer._thread._create_worker_consumer(app.transport)
    seconds = [await request_seconds(client) for client in (producer.client, consumer._client)]
    assert seconds == [REQUEST_SECONDS, REQUEST_SECONDS]
    producer._closed = consumer._closed = True  # they were never started


async def test_fausts_own_consumer_waits_longer_for_a_response(tmp_path: Path) -> None:
    """If this fails, Faust has a setting of its own for it: `FaustConsumerThread` can go."""
    app = runner(tmp_path).app
    consumer = driver.AIOKafkaConsumerThread._create_worker_consumer(app.consumer._thread, app.transport)
    assert await request_seconds(consumer._client) > REQUEST_SECONDS
    consumer._closed = True


async def test_sent_batch_never_expires(tmp_path: Path) -> None:
    """Its sequence number is taken: without it the brokers refuse everything after it."""
    assert not await expires(runner(tmp_path).app.producer._new_producer())


async def test_fausts_own_producer_drops_a_sent_batch(tmp_path: Path) -> None:
    """If this fails, aiokafka no longer expires a batch with a sequence number: the patch can go."""
    app = runner(tmp_path).app
    producer = driver.Producer._new_producer(app.producer)
    assert await expires(producer)


async def request_seconds(client: Any) -> float:
    """How long a request may take on a connection that the client opens."""
    opened: list[float] = []

    async def refuse(self: Any) -> None:
        opened.append(self._request_timeout)
        raise OSError("no broker")

    client.cluster = SimpleNamespace(broker_metadata=lambda _: SimpleNamespace(host="127.0.0.1", port=1))
    client.force_metadata_update = lambda: None
    with patch.object(AIOKafkaConnection, "connect", refuse):
        await client._get_conn(1)
    return opened[0]


async def expires(producer: Any) -> bool:
    """Whether the producer drops a batch that was sent, refused by a broker, and then waits an hour for a leader."""
    place, leader = TopicPartition("topic", 0), [0]
    accumulator = producer._message_accumulator
    accumulator._cluster = SimpleNamespace(leader_for_partition=lambda _: leader[0] if leader else None)
    accumulator._linger_time = 0
    producer._txn_manager.set_pid_and_epoch(7, 0)
    record = await accumulator.add_message(place, None, b"value", timeout=1)
    nodes, _ = accumulator.drain_by_nodes(ignore_nodes=[])
    batch = nodes[0][place]
    accumulator.reenqueue(batch)
    batch._ctime -= 3600
    leader.clear()
    accumulator.drain_by_nodes(ignore_nodes=[])
    dropped = bool(record.done())
    if dropped:
        assert isinstance(record.exception(), KafkaError)
    record.cancel()
    producer._closed = True  # it was never started
    return dropped


async def test_seeking_back_after_a_rebalance_has_no_time_limit(tmp_path: Path) -> None:
    """Faust takes a timeout of it for the end of the app, and never reads a partition again."""
    app = runner(tmp_path).app
    recovery = Recovery(app, app.tables)
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    assert app.conf.broker_request_timeout >= 1000 * REQUEST_SECONDS


async def test_runner_whose_producer_has_no_sender_any_more_has_failed(tmp_path: Path) -> None:
    one = runner(tmp_path)
    failed = [one.failed]
    client = one.app.producer._producer = one.app.producer._new_producer()
    failed.append(one.failed)
    client._sender._sender_task = asyncio.ensure_future(asyncio.Event().wait())
    await asyncio.sleep(0)
    failed.append(one.failed)
    client._sender._sender_task.cancel()
    await asyncio.sleep(0)
    assert failed == [False, False, False]
    assert one.failed
    client._closed = True  # it was never started


async def cancelled_agent(run: Any, agent: Any) -> list[str]:
    """What Faust does about an agent that it cancels."""
    did: list[str] = []

    async def crash(_: BaseException) -> None:
        did.append("crash")

    agent.supervisor = SimpleNamespace(wakeup=lambda: did.append("restart"))
    running = asyncio.ensure_future(agent._execute_actor(run, SimpleNamespace(crash=crash)))
    await asyncio.sleep(0)
    running.cancel()
    await running
    return did


async def test_agent_of_a_revoked_partition_ends_without_a_crash(tmp_path: Path) -> None:
    one = runner(tmp_path)
    (agent,) = one.app.agents.values()
    with patch.object(one._loops, "run", forever):
        assert await cancelled_agent(agent.fun(None), agent) == []


async def test_faust_starts_a_cancelled_agent_again(tmp_path: Path) -> None:
    """If this fails, the runner's agent need not suppress its cancellation."""
    (agent,) = runner(tmp_path).app.agents.values()
    assert await cancelled_agent(forever(), agent) == ["crash", "restart"]


async def test_modes_supervisor_gives_up_at_the_second_restart_at_once() -> None:
    bucket = OneForOneSupervisor(max_restarts=100.0, over=1.0)._bucket
    assert [bucket.pour(), bucket.pour()] == [True, False]


async def test_rebalance_of_a_stopping_app_leaves_its_client_open(tmp_path: Path) -> None:
    app = runner(tmp_path).app
    client = app.consumer._thread._consumer = SimpleNamespace(_closed=False)
    app._stopped.set()
    await app._on_partitions_revoked(set())
    await app._on_partitions_assigned(set())
    assert not client._closed


async def test_aiokafkas_commit_never_ends_once_its_coordinator_is_closed() -> None:
    coordinator = object.__new__(GroupCoordinator)
    coordinator._closing = asyncio.get_running_loop().create_future()
    coordinator._closing.set_result(None)
    coordinator.coordinator_id, coordinator._retry_backoff_ms = None, 1
    coordinator._commit_lock = coordinator._coordinator_lookup_lock = asyncio.Lock()
    coordinator.group_id, coordinator.generation, coordinator.member_id = "group", 1, "member"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await coordinator.commit_offsets(None, {TopicPartition("a.topic", 0): OffsetAndMetadata(1, "")})


async def forever(*_: Any) -> None:
    await asyncio.Event().wait()
