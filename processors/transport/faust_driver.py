"""Faust's Kafka driver with the parts that lose records or order replaced.

Each class names the failure it prevents; each was seen on a real cluster, under load and crashes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.group import JoinGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from processors.transport.group_coordinator import StableGroupCoordinator

T = TypeVar("T")

_JOIN_MARGIN_SECONDS: Final = 5.0


class FlowControl(FlowControlEvent):
    """Lets records flow again without throwing away those that already wait.

    mode empties every queue here. Faust calls it last when it has recovered state, while the consumer already reads
    on: records delivered in between would be gone, and commits would pass over them. A record that comes twice
    instead does no harm, and those of an earlier generation are left out when batches are taken.
    """

    def resume(self) -> None:
        self._suspend.clear()
        self._resume.set()


class FaustProducer(driver.Producer):
    """Idempotent: records are never expired, reordered or doubled by its own retries.

    A request without an answer is given up, with its connection, like any other. aiokafka would then give up a batch of
    that age too where no leader is known; but its place in the order is taken, and without it nothing more is accepted.
    """

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        producer._message_accumulator._batch_ttl = math.inf
        return producer


class FaustConsumerThread(driver.AIOKafkaConsumerThread):
    """Its requests are given up after the same time as all others'; what Faust calls their time-out is another one."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        milliseconds = round(self.app.conf.producer_request_timeout * 1000)
        consumer._request_timeout_ms = consumer._client._request_timeout_ms = milliseconds
        return consumer


class FaustConsumer(driver.Consumer):
    """Goes back to the committed offsets while nothing is being fetched, and to the beginning where there are none.

    After each rebalance some records have been fetched that no stage will see; going back brings them again. Faust
    goes back with a fetch still under way, whose later records then pass for the newest read so that the earlier ones
    are dropped; and aiokafka leaves partitions without a commit where they are, beyond what was fetched for nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _new_consumer_thread(self) -> FaustConsumerThread:
        return FaustConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def confirmed(self) -> bool:
        """Whether this is still a member of its group, by what was last heard of it."""
        client = self._thread._consumer
        membership = client._coordinator if client is not None else None
        return isinstance(membership, StableGroupCoordinator) and membership.confirmed

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        self._no_fetch.clear()
        try:
            return await super()._getmany(active_partitions, timeout)
        finally:
            self._no_fetch.set()

    def highwater(self, tp: TP) -> int:
        """The partition's end; 0 for one that is no longer ours, which only Faust's own monitor is told.

        The group may take a partition away while its last fetch is handed over. The client's thread knows that first,
        and its assertion would end the unit, and the process with it.
        """
        try:
            return int(super().highwater(tp) or 0)
        except AssertionError:
            return 0

    async def perform_seek(self) -> None:
        """Called with the flow about to be resumed by the caller, or stopped already."""
        self.stop_flow()
        await self._no_fetch.wait()
        await super().perform_seek()

    async def seek_to_committed(self) -> Any:
        committed = await super().seek_to_committed()
        for tp, offset in committed.items():
            if not offset and not self._is_changelog_tp(tp):
                # where the log begins later the client resets itself to there; asking would wait behind a long fetch
                await self._seek(tp, 0)
        return committed


_send_to_open = AIOKafkaConnection.send


def _send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    """Takes a connection that has just been reset, or does not answer, for what it is.

    uvloop tells of the first with a RuntimeError where aiokafka expects an OSError: the consumer's thread would end
    with it, and the whole process with that. And a dead connection over which only metadata is asked for was never
    given up. Joining a group may take as long as the group waits for its other members: given up before, it is begun
    again, and the group with it.
    """
    usual_seconds = connection._request_timeout
    if isinstance(request, JoinGroupRequest):
        connection._request_timeout = max(usual_seconds, request._rebalance_timeout / 1000 + _JOIN_MARGIN_SECONDS)
    try:
        answer = _send_to_open(connection, request, expect_response)
    except KafkaError:
        raise  # these are RuntimeErrors too
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError("the connection was closed while it was written to") from error
    finally:
        connection._request_timeout = usual_seconds
    return _answered(connection, answer) if expect_response else answer


async def _answered(connection: Any, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except TimeoutError:
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise


AIOKafkaConnection.send = _send


class FaustTransport(driver.Transport):
    """Makes the app's consumer and its producer: Faust asks one transport for both."""

    Consumer = FaustConsumer
    Producer = FaustProducer
