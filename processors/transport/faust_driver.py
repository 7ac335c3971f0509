"""Faust's Kafka driver with the parts replaced that lose records or their order.

Each class names the failure it prevents; all were seen on a real cluster, under load and crashes. Upstream issues are
named where one is known. `processors.transport.patches` changes the client below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

from paynotify.processors.transport import batch_writer
from paynotify.processors.transport.batch_writer import Written
from paynotify.processors.transport.faust_consumer import FaustConsumer
from paynotify.schemas.records import Output


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

    async def write(self, outputs: Sequence[Output]) -> Written:
        """Write records. Returns when the brokers have acknowledged all of them (`batch_writer.write`)."""
        return await batch_writer.write(self._ensure_producer(), outputs)

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        producer._message_accumulator._batch_ttl = math.inf
        return producer


class FaustTransport(driver.Transport):
    """Creates the app's consumer and producer: Faust asks one transport for both."""

    Consumer = FaustConsumer
    Producer = FaustProducer
