"""Faust's Kafka driver with the parts replaced that lose records or their order.

Each class names the failure it prevents; all were seen on a real cluster, under load and crashes. Upstream issues are
named where one is known. `processors.transport.patches` changes the client below.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from processors.transport.group_coordinator import StableGroupCoordinator


class FlowControl(FlowControlEvent):
    """Resumes the flow of records without discarding those that are queued.

    mode empties every queue on resume. Faust resumes last when it has recovered state, while the consumer already reads
    on: records delivered in between would be lost, and commits would pass over them
    (https://github.com/faust-streaming/faust/issues/596). A duplicate delivery instead is harmless, and records of an
    earlier generation are dropped when batches are taken.
    """

    def resume(self) -> None:
        self._suspend.clear()
        self._resume.set()


class FaustProducer(driver.Producer):
    """An idempotent producer whose batches never expire.

    Faust produces idempotently only within transactions. And aiokafka drops a batch that is older than the request
    timeout while its partition has no leader; if that batch was sent before, its sequence number is missing, and the
    brokers refuse everything after it. No upstream issue names this cause;
    https://github.com/aio-libs/aiokafka/issues/1017 has the same symptom.
    """

    @property
    def sender_ended(self) -> bool:
        """Whether aiokafka's sender task has ended, so that nothing is published any more.

        Such a producer accepts records and never reports them: https://github.com/aio-libs/aiokafka/issues/1039.
        """
        client = self._producer
        task = client._sender.sender_task if client is not None else None
        return task is not None and bool(task.done())

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        producer._message_accumulator._batch_ttl = math.inf
        return producer


class FaustConsumerThread(driver.AIOKafkaConsumerThread):
    """A consumer whose requests time out like the producer's.

    Faust has one setting, ``broker_request_timeout``, for its requests and for its own recovery, which may take far
    longer. No upstream issue is known.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        milliseconds = round(self.app.conf.producer_request_timeout * 1000)
        consumer._request_timeout_ms = consumer._client._request_timeout_ms = milliseconds
        return consumer


class FaustConsumer(driver.Consumer):
    """Seeks to the committed offsets while no fetch is in progress, and to the beginning where there are none.

    After a rebalance some fetched records reach no stage, and the seek brings them again. Faust seeks while a fetch is
    still in progress: its later records then count as the newest read, and the earlier ones are dropped. Faust's own
    ``wait_for_stopped_flow`` returns at once, because the event it waits for is never cleared; no upstream issue is
    known. And aiokafka leaves a partition without a commit at its position, beyond the records that were lost:
    https://github.com/aio-libs/aiokafka/issues/1003.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _new_consumer_thread(self) -> FaustConsumerThread:
        return FaustConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def confirmed(self) -> bool:
        """Whether the group confirmed this member's heartbeat within the last session timeout."""
        client = self._thread._consumer
        coordinator = client._coordinator if client is not None else None
        return isinstance(coordinator, StableGroupCoordinator) and coordinator.confirmed

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        self._no_fetch.clear()
        try:
            return await super()._getmany(active_partitions, timeout)
        finally:
            self._no_fetch.set()

    def highwater(self, tp: TP) -> int:
        """The partition's end offset; 0 for a revoked partition, which only Faust's monitor reads.

        The group may revoke a partition while its last fetch is delivered. The client's thread knows that first, and
        its AssertionError would end the app, and the process with it. A pull request for Faust was not merged:
        https://github.com/faust-streaming/faust/pull/507.
        """
        try:
            return int(super().highwater(tp) or 0)
        except AssertionError:
            return 0

    async def perform_seek(self) -> None:
        """Seek to the committed offsets. The caller has stopped the flow, or is about to resume it."""
        self.stop_flow()
        await self._no_fetch.wait()
        await super().perform_seek()

    async def seek_to_committed(self) -> Any:
        committed = await super().seek_to_committed()
        for tp, offset in committed.items():
            if not offset and not self._is_changelog_tp(tp):
                # the client resets itself if the log begins later; asking for its begin would wait behind a long fetch
                await self._seek(tp, 0)
        return committed


class FaustTransport(driver.Transport):
    """Creates the app's consumer and producer: Faust asks one transport for both."""

    Consumer = FaustConsumer
    Producer = FaustProducer
