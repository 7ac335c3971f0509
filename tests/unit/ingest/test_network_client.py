"""Who does the producer's work: the event loop while nothing can block, else the producer's own thread."""

import asyncio
import math
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.selector import NetworkSelector

from paynotify.ingest.network_client import PRIVATE_NAMES, LoopTurns, SharedNetworkClient
from paynotify.ingest.selector import ProducerSelector
from paynotify.service.private_names import require
from paynotify.service.rebootstrap import RebootstrapManager

DEADLINE_SECONDS = 10


class Transactions:
    """A producer's id and what it asks the brokers for it."""

    def __init__(self) -> None:
        self.has_id = True
        self.bumping = self.fatal = self.abortable = self.in_flight = False
        self._pending_requests: list[object] = []

    def has_producer_id(self) -> bool:
        return self.has_id

    def is_bumping_epoch(self) -> bool:
        return self.bumping

    def has_fatal_error(self) -> bool:
        return self.fatal

    def has_abortable_error(self) -> bool:
        return self.abortable

    def has_in_flight_transactional_request(self) -> bool:
        return self.in_flight


class Network:
    """A selector with one socket. What is sent to the other end is read in a poll."""

    def __init__(self) -> None:
        self._selector = ProducerSelector()
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self._selector.register(self.near, selectors.EVENT_READ)
        self._ready: list[object] = []
        self.scheduled_seconds: float | None = None
        self.received: list[bytes] = []

    def poll(self, timeout_ms: float) -> None:
        for _ in self._selector.select(timeout_ms / 1000):
            self.received.append(self.near.recv(100))

    def _next_scheduled_timeout(self, now_seconds: float) -> float | None:
        return self.scheduled_seconds

    def close(self) -> None:
        self._selector.close()
        self.near.close()
        self.far.close()


class Producer:
    """A producer's rounds, as `kafka.producer.sender.Sender` makes them, and the threads in which they ran."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.network = Network()
        self.connection = SimpleNamespace(connected=True)
        self._client = SimpleNamespace(_net=self.network, _manager=SimpleNamespace(_conns={1: self.connection}))
        self._transaction_manager = self.transactions = Transactions()
        self._running = True
        self.rounds: list[int] = []
        self.during_round: Callable[[], object] | None = None
        self.wait_milliseconds: float = 60_000
        self.turns = LoopTurns(self, loop)
        self.thread = threading.Thread(target=self.turns.take_over, daemon=True)

    def run_once(self) -> None:
        self.rounds.append(threading.get_ident())
        if self.during_round is not None:
            self.during_round()
        self.turns.poll(self.wait_milliseconds)

    async def taken_over(self) -> None:
        """Wait until the event loop has had its first turn."""
        self.thread.start()
        await until(lambda: bool(self.rounds))

    def is_with_its_thread(self) -> bool:
        return not self.turns.has_the_work and not self.thread.is_alive()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await asyncio.sleep(0)


@pytest.fixture
async def producer() -> Any:
    one = Producer(asyncio.get_running_loop())
    yield one
    one._running = False
    one.turns.turn()
    one.network.close()


async def test_loop_works_in_its_own_thread_while_the_producers_waits(producer: Producer) -> None:
    await producer.taken_over()
    assert producer.turns.has_the_work
    assert producer.thread.is_alive()
    assert set(producer.rounds) == {threading.get_ident()}


async def test_bytes_that_arrive_are_read_in_a_turn_and_followed_by_a_round(producer: Producer) -> None:
    """It may leave something to send, such as the parts of a batch that was too long."""
    await producer.taken_over()
    rounds = len(producer.rounds)
    producer.network.far.send(b"too long")
    await until(lambda: producer.network.received == [b"too long"])
    assert len(producer.rounds) == rounds + 2


async def test_turn_is_had_when_something_is_due(producer: Producer) -> None:
    producer.wait_milliseconds = 5
    await producer.taken_over()
    await until(lambda: len(producer.rounds) >= 3)


async def test_task_that_is_scheduled_sooner_makes_a_turn(producer: Producer) -> None:
    producer.network.scheduled_seconds = 0.005
    await producer.taken_over()
    await until(lambda: len(producer.rounds) >= 3)


async def test_turns_that_are_all_due_at_once_wait_for_one_callback(producer: Producer) -> None:
    """uvloop's handle of what is due within half a millisecond has no time that could be asked for."""
    await producer.taken_over()
    producer.wait_milliseconds = 0.2
    rounds = len(producer.rounds)
    producer.turns.turn()
    producer.turns.turn()
    producer.wait_milliseconds = 60_000
    await until(lambda: len(producer.rounds) == rounds + 3)


async def test_turn_within_a_turn_is_one_more_round_after_it(producer: Producer) -> None:
    await producer.taken_over()
    before = len(producer.rounds)
    depths: list[int] = []

    def within() -> None:
        depths.append(len(depths))
        if len(depths) == 1:
            producer.turns.turn()
            assert len(producer.rounds) == before + 1, "no round within a round"

    producer.during_round = within
    producer.turns.turn()
    assert len(producer.rounds) == before + 2


async def test_rounds_without_end_let_other_callbacks_run(producer: Producer) -> None:
    producer.wait_milliseconds = 0
    await producer.taken_over()
    before = len(producer.rounds)
    producer.turns.turn()
    assert 1 < len(producer.rounds) - before < 20


def reasons() -> Iterator[Any]:
    def transactions(name: str, value: object) -> Callable[[Producer], None]:
        return lambda one: setattr(one.transactions, name, value)

    yield pytest.param(lambda one: setattr(one.connection, "connected", False), id="connection lost")
    yield pytest.param(lambda one: one._client._manager._conns.clear(), id="no connection")
    yield pytest.param(lambda one: setattr(one, "_running", False), id="closing")
    yield pytest.param(transactions("has_id", False), id="no id")
    yield pytest.param(transactions("bumping", True), id="another epoch")
    yield pytest.param(transactions("fatal", True), id="fatal error")
    yield pytest.param(transactions("abortable", True), id="abortable error")
    yield pytest.param(transactions("in_flight", True), id="request for an id")
    yield pytest.param(transactions("_pending_requests", [object()]), id="request to come")


REASONS = tuple(reasons())


@pytest.mark.parametrize("blocks", REASONS)
async def test_work_is_given_back_when_something_could_block(
    producer: Producer, blocks: Callable[[Producer], None]
) -> None:
    await producer.taken_over()
    blocks(producer)
    rounds = len(producer.rounds)
    producer.turns.turn()
    producer.thread.join(DEADLINE_SECONDS)
    assert producer.is_with_its_thread()
    assert len(producer.rounds) == rounds, "the thread makes the next one"
    producer.network.far.send(b"late")
    await asyncio.sleep(0)
    producer.turns.turn()
    assert not producer.network.received, "the loop has nothing to do with it any more"


@pytest.mark.parametrize("blocks", REASONS)
async def test_thread_keeps_the_work_while_something_could_block(
    producer: Producer, blocks: Callable[[Producer], None]
) -> None:
    blocks(producer)
    producer.turns.take_over()  # returns at once
    assert not producer.turns.has_the_work


async def test_connection_opened_in_a_round_is_left_for_the_thread(producer: Producer) -> None:
    await producer.taken_over()
    producer.network.far.send(b"not read by the loop")
    producer.during_round = lambda: setattr(producer.connection, "connected", False)
    producer.turns.turn()
    producer.thread.join(DEADLINE_SECONDS)
    assert producer.is_with_its_thread()
    assert not producer.network.received


async def test_round_that_fails_gives_the_work_back(producer: Producer, caplog: pytest.LogCaptureFixture) -> None:
    await producer.taken_over()

    def fails() -> None:
        raise ValueError("wrong")

    producer.during_round = fails
    producer.turns.turn()
    producer.thread.join(DEADLINE_SECONDS)
    assert producer.is_with_its_thread()
    assert "producer_round_failed" in caplog.text


def test_end_of_the_loop_frees_the_thread() -> None:
    loop = asyncio.new_event_loop()
    one = Producer(loop)
    one.thread.start()
    limit = time.monotonic() + DEADLINE_SECONDS
    while not one.turns.has_the_work and time.monotonic() < limit:
        pass
    loop.close()
    one.turns.end_with_the_loop()
    one.thread.join(DEADLINE_SECONDS)
    assert one.is_with_its_thread()
    one.turns.take_over()
    assert not one.turns.has_the_work, "there is no loop to take it"
    one.network.close()


async def test_turn_is_for_the_loop_that_has_the_work_alone(producer: Producer) -> None:
    """A producer that was replaced calls for one in its own thread when it is told of its last records."""

    def may_have_one() -> bool:
        return producer.turns.may_have_one

    assert not may_have_one()
    await producer.taken_over()
    assert may_have_one()
    assert not await asyncio.to_thread(may_have_one)
    producer.connection.connected = False
    producer.turns.turn()
    assert not may_have_one()


@pytest.fixture
def client() -> Iterator[SharedNetworkClient]:
    """A client that has asked no broker yet."""
    network = NetworkSelector()
    one = SharedNetworkClient(network, RebootstrapManager(network, bootstrap_servers="127.0.0.1:9"))
    yield one
    one.close()


def test_round_waits_until_a_connection_that_is_busy_or_opened_has_changed(client: SharedNetworkClient) -> None:
    client._manager._conns[1] = busy = SimpleNamespace(connected=True, paused={"max_in_flight"}, close=lambda: None)
    assert not client.is_ready(1)
    assert client.connection_delay(1) == math.inf
    busy.connected = False
    assert client.connection_delay(1) == math.inf


def test_round_waits_out_the_back_off_of_a_lost_node(client: SharedNetworkClient) -> None:
    assert client.connection_delay(1) == 0, "it is to be opened"
    milliseconds = client._manager.update_backoff(1)
    assert milliseconds / 2 < client.connection_delay(1) <= milliseconds


def test_metadata_that_is_awaited_is_not_asked_for_again(client: SharedNetworkClient) -> None:
    first = client.cluster.request_update()
    waiting = len(client._net._ready)
    assert client.cluster.request_update() is first
    assert len(client._net._ready) == waiting, "it would make one more round"
    client.cluster.failed_update(KafkaConnectionError())
    assert client.cluster.request_update() is not first
    assert len(client._net._ready) > waiting


def test_installed_client_has_the_private_names() -> None:
    require(PRIVATE_NAMES)
