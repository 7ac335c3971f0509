"""What is done differently from Faust's driver, so that no fetched record is lost in a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import JoinGroupRequest
from faust.transport.consumer import ThreadDelegateConsumer
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from processors.transport.faust_driver import FaustConsumer, FlowControl

#: What the brokers of such a connection speak.
VERSIONS = {FindCoordinatorRequest.API_KEY: (0, 1)}

COMMITTED = {TP("observations", 0): 7, TP("observations", 1): None, TP("observations", 2): 0, TP("changelog", 1): None}


class Standing(FaustConsumer):
    """A consumer without brokers: tells what it is asked to do."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.sought: dict[TP, int] = {}
        self.fetched = asyncio.Event()
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic == "changelog")

    def stop_flow(self) -> None:
        self.told.append("flow stopped")

    async def _seek(self, partition: TP, offset: int) -> None:
        self.sought[partition] = offset


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Standing:
    async def committed(self: Standing) -> Mapping[TP, int | None]:
        return COMMITTED

    async def getmany(self: Standing, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await self.fetched.wait()
        self.told.append("fetch ended")
        return {}

    async def perform_seek(self: Standing) -> None:
        self.told.append("went back")

    monkeypatch.setattr(ThreadDelegateConsumer, "seek_to_committed", committed)
    monkeypatch.setattr(ThreadDelegateConsumer, "_getmany", getmany)
    monkeypatch.setattr(ThreadDelegateConsumer, "perform_seek", perform_seek)
    return Standing()


async def test_partitions_without_a_commit_go_back_to_their_beginning(consumer: Standing) -> None:
    assert await consumer.seek_to_committed() == COMMITTED
    assert consumer.sought == {TP("observations", 1): 0, TP("observations", 2): 0}


async def test_it_goes_back_only_when_no_fetch_is_under_way(consumer: Standing) -> None:
    fetch = asyncio.ensure_future(consumer._getmany(None, 1.0))
    await asyncio.sleep(0)
    back = asyncio.ensure_future(consumer.perform_seek())
    for _ in range(5):
        await asyncio.sleep(0)
    assert consumer.told == ["flow stopped"]
    consumer.fetched.set()
    await asyncio.gather(fetch, back)
    assert consumer.told == ["flow stopped", "fetch ended", "went back"]


async def test_a_partition_taken_away_while_its_records_are_handed_over_ends_nothing(consumer: Standing) -> None:
    consumer._thread = AIOKafkaConsumer()  # nothing is assigned to it
    try:
        assert consumer.highwater(TP("observations", 0)) == 0
    finally:
        await consumer._thread.stop()


async def test_records_that_wait_stay_when_the_flow_resumes() -> None:
    control = FlowControl()
    queue: ThrowableQueue[int] = ThrowableQueue(flow_control=control, clear_on_resume=True)
    control.resume()
    await queue.put(1)
    control.suspend()
    control.resume()
    assert control.is_active()
    assert queue.get_nowait() == 1
    await queue.put(2)
    control.clear()
    assert queue.empty(), "a revoked partition's records still go"


class Closed:
    """A transport of uvloop that was reset: asyncio's own would take what is written and say nothing."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed>; the handler is closed")

    def close(self) -> None:
        return


async def test_a_connection_that_was_reset_while_it_is_written_to_is_an_error_that_clients_know() -> None:
    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection._writer = Closed()
    connection._versions = VERSIONS
    with pytest.raises(KafkaConnectionError):
        connection.send(FindCoordinatorRequest("a group", 0))
    connection._versions = {}
    with pytest.raises(IncompatibleBrokerVersion):
        connection.send(FindCoordinatorRequest("a group", 0))
    connection._writer = None
    with pytest.raises(KafkaConnectionError):
        connection.send(FindCoordinatorRequest("a group", 0))


async def test_a_connection_without_an_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka asks for metadata over it again and again otherwise."""
    connection = AIOKafkaConnection("127.0.0.1", 1, request_timeout_ms=10)
    connection._writer, connection._versions = SimpleNamespace(write=lambda data: None), VERSIONS
    connection._loop = asyncio.get_running_loop()
    given_up: list[CloseReason] = []
    monkeypatch.setattr(connection, "close", lambda reason: given_up.append(reason))
    with pytest.raises(TimeoutError):
        await connection.send(FindCoordinatorRequest("a group", 0))
    assert given_up == [CloseReason.CONNECTION_TIMEOUT]


async def test_joining_a_group_may_take_as_long_as_the_group_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait_for(answer: Any, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(conn, "wait_for", wait_for)
    connection = AIOKafkaConnection("127.0.0.1", 1, request_timeout_ms=10_000)
    connection._writer = SimpleNamespace(write=lambda data: None)
    connection._versions = {**VERSIONS, JoinGroupRequest.API_KEY: (2, 5)}
    connection._loop = asyncio.get_running_loop()
    await connection.send(JoinGroupRequest("group", 6_000, 30_000, "", "name", "consumer", [("roundrobin", b"")]))
    await connection.send(FindCoordinatorRequest("group", 0))
    assert waits[0] > 30.0
    assert waits[1:] == [10.0], "but nothing else does"
