"""kafka-python's network client, whose work the event loop does while nothing in it can block.

kafka-python's producer has a thread for its connections. Two threads that both have work take the interpreter lock from
each other at every system call, and between two processors that costs more than the calls themselves: it was half of
the ingress's CPU time. So the event loop does the work itself, in short turns. It gives the work back to the thread as
soon as a connection is lost or the producer needs an id: names are looked up and answers are waited for there. Only one
of the two has the work at any time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from typing import Any, Final

from kafka import KafkaProducer
from kafka.cluster import ClusterMetadata
from kafka.net.compat import KafkaNetClient
from kafka.producer.sender import Sender

from paynotify.ingest.selector import ProducerSelector
from paynotify.service.logs import event
from paynotify.service.private_names import PrivateName

logger = logging.getLogger("paynotify.ingest")

#: Rounds of the producer in one turn of the event loop. What is left then waits until other callbacks have run.
_MOST_ROUNDS: Final = 8
_LONGEST_WAIT_SECONDS: Final = 60.0

#: What a turn of the event loop does, and what tells whether anything could block.
PRIVATE_NAMES: Final = (
    PrivateName("kafka-python", "kafka.producer.sender", "Sender.run", ("run_once", "_running")),
    PrivateName(
        "kafka-python",
        "kafka.producer.sender",
        "Sender.run_once",
        (
            "_topics_to_add",
            "_transaction_manager",
            "_send_producer_data",
            "_client",
            "poll",
            "has_producer_id",
            "has_fatal_error",
            "is_bumping_epoch",
            "has_in_flight_transactional_request",
            "has_abortable_error",
        ),
    ),
    PrivateName("kafka-python", "kafka.producer.sender", "Sender._send_producer_data", ("connection_delay",)),
    PrivateName("kafka-python", "kafka.net.compat", "KafkaNetClient.poll", ("_net", "poll")),
    PrivateName("kafka-python", "kafka.net.compat", "KafkaNetClient.is_ready", ("_manager", "_conns", "connected")),
    PrivateName("kafka-python", "kafka.cluster", "ClusterMetadata.request_update", ("_need_update", "_future")),
    PrivateName("kafka-python", "kafka.cluster", "ClusterMetadata.ttl", ("_need_update",)),
    PrivateName("kafka-python", "kafka.net.selector", "NetworkSelector._poll_once", ("_ready", "_selector")),
    PrivateName("kafka-python", "kafka.net.selector", "NetworkSelector._next_scheduled_timeout", ("_scheduled",)),
    PrivateName(
        "kafka-python",
        "kafka.producer.transaction_manager",
        "TransactionManager.next_request_handler",
        ("_pending_requests",),
    ),
)


class AwaitedMetadata(ClusterMetadata):  # type: ignore[misc]  # the library has no types
    """Asks no second time for what it awaits.

    A round asks for metadata whenever a partition has no leader, and kafka-python wakes its client for each request,
    which makes another round: without a pause until there is a leader again. An update that is awaited, or that comes
    after a back-off, needs no wake-up.
    """

    def request_update(self) -> Any:
        awaited = self._future
        if self._need_update and awaited is not None and not awaited.is_done:
            return awaited
        return super().request_update()


class SharedNetworkClient(KafkaNetClient):  # type: ignore[misc]  # the library has no types
    """The client of one producer. Until `give_turns` its thread does everything."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._turns: LoopTurns | None = None
        self._manager.cluster.__class__ = AwaitedMetadata  # the manager makes its own

    def give_turns(self, turns: LoopTurns) -> None:
        """Let the event loop take the work whenever nothing in it can block."""
        self._turns = turns

    def poll(self, timeout_ms: float | None = None, future: Any = None) -> None:
        """Whoever has the work calls it at the end of each round. The thread stays in it while the loop has the work.

        The producer's rounds ask for nothing but a time; a call that awaits a future is left as it is.
        """
        turns = self._turns
        if turns is None or future is not None:
            super().poll(timeout_ms=timeout_ms, future=future)
        elif turns.has_the_work:
            turns.poll(timeout_ms)
        else:
            super().poll(timeout_ms=timeout_ms)
            turns.take_over()

    def connection_delay(self, node_id: Any) -> float:
        """Milliseconds that a round waits for a node that can take nothing now.

        kafka-python 3.0.12 tells seconds, and none for a connection that is being opened or has as many requests on the
        way as it may: while a broker was frozen, round followed round without a pause. What ends either state ends the
        wait, too.
        """
        if node_id in self._manager._conns:
            return math.inf
        return 1000 * float(super().connection_delay(node_id))

    def wakeup(self) -> None:
        super().wakeup()
        if self._turns is not None:
            self._turns.end_with_the_loop()


class LoopTurns:
    """The event loop's turns at a producer's work, which ``sender`` describes. Any thread may create them."""

    def __init__(self, sender: Sender, loop: asyncio.AbstractEventLoop) -> None:
        client = sender._client
        self._net = client._net
        self._selector: ProducerSelector = client._net._selector
        self._connections = client._manager._conns
        self._sender = sender
        self._transactions = sender._transaction_manager
        self._loop = loop
        self.has_the_work = False
        self._loop_thread: int | None = None
        self._given_back = threading.Event()
        self._in_turn = False
        self._once_more = False
        self._wait_seconds = 0.0
        #: uvloop makes a handle that cannot tell its time of one that is due at once, so the time is kept here
        self._timer: asyncio.Handle | None = None
        self._due_at_seconds = 0.0

    @property
    def may_have_one(self) -> bool:
        """Whether the caller is the event loop, and it has the work. Another producer's thread may call for one, too:
        it appends to the producer that has replaced its own."""
        return self.has_the_work and threading.get_ident() == self._loop_thread

    def take_over(self) -> None:
        """Have the event loop work until something could block. The producer's thread waits here meanwhile."""
        if not self._nothing_blocks():
            return
        self._given_back.clear()
        self.has_the_work = True
        try:
            self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:  # the loop has ended
            self.has_the_work = False
            return
        self._given_back.wait()

    def _nothing_blocks(self) -> bool:
        """A connection that is opened looks up a name, and a request for an id waits for its answer."""
        transactions = self._transactions
        return bool(
            self._sender._running
            and self._connections
            and all(connection.connected for connection in self._connections.values())
            and transactions.has_producer_id()
            and not transactions._pending_requests
            and not transactions.has_in_flight_transactional_request()
            and not transactions.is_bumping_epoch()
            and not transactions.has_fatal_error()
            and not transactions.has_abortable_error()
        )

    def _begin(self) -> None:
        if not self.has_the_work:
            return  # given back before the first turn
        self._loop_thread = threading.get_ident()
        self._loop.add_reader(self._selector.fileno(), self.turn)
        self.turn()

    def _give_back(self) -> None:
        self._loop.remove_reader(self._selector.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.has_the_work = False
        self._given_back.set()

    def end_with_the_loop(self) -> None:
        """Free the thread that waits for an event loop which has ended."""
        if self.has_the_work and self._loop.is_closed():
            self.has_the_work = False
            self._given_back.set()

    def turn(self) -> None:
        """Send what is ready and read what has arrived. Called from within a turn, it asks for one more round."""
        if self._in_turn:
            self._once_more = True
            return
        if not self.has_the_work:
            return
        self._in_turn = True
        try:
            goes_on = self._rounds()
        except Exception as error:  # noqa: BLE001 - kafka-python's thread also goes on after any error
            event(logger, "producer_round_failed", level=logging.ERROR, error=repr(error))
            goes_on = False
        finally:
            self._in_turn = False
        if goes_on:
            self._await_next()
        else:
            self._give_back()

    def _rounds(self) -> bool:
        """False if something could block, before or after them."""
        for _ in range(_MOST_ROUNDS):
            if not self._nothing_blocks():
                return False
            self._once_more = False
            self._sender.run_once()
            if not self._once_more:
                break
        return self._nothing_blocks()

    def poll(self, timeout_milliseconds: float | None) -> None:
        """Read and write what is possible at once. A connection that is to be opened is left for the thread.

        What was read or was due may leave something to send, and that takes one more round.
        """
        scheduled = self._net._next_scheduled_timeout(time.monotonic())
        self._selector.has_read = False
        for _ in range(_MOST_ROUNDS):
            if not self._nothing_blocks():
                break
            self._net.poll(timeout_ms=0)
            if not self._net._ready:
                break
        is_due = scheduled is not None and scheduled <= 0
        self._once_more |= self._selector.has_read or is_due or bool(self._net._ready) or not timeout_milliseconds
        wait_seconds = _LONGEST_WAIT_SECONDS if timeout_milliseconds is None else timeout_milliseconds / 1000
        self._wait_seconds = min(wait_seconds, _LONGEST_WAIT_SECONDS)

    def _await_next(self) -> None:
        """Have the next turn when something is due. What arrives makes one by itself."""
        scheduled = self._net._next_scheduled_timeout(time.monotonic())
        wait_seconds = 0.0 if self._once_more else self._wait_seconds
        if scheduled is not None and scheduled < wait_seconds:
            wait_seconds = max(0.0, scheduled)
        due_at_seconds = self._loop.time() + wait_seconds
        if self._timer is not None:
            if self._due_at_seconds <= due_at_seconds:
                return
            self._timer.cancel()
        self._due_at_seconds = due_at_seconds
        self._timer = self._loop.call_at(due_at_seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self.turn()


def shared(producer: KafkaProducer, loop: asyncio.AbstractEventLoop) -> LoopTurns:
    """Let ``loop`` do the work of a producer. Any thread may call it.

    The producer was opened with a `SharedNetworkClient` and an `ingest.selector.ProducerSelector`.
    """
    turns = LoopTurns(producer._sender, loop)
    producer._sender._client.give_turns(turns)
    return turns
