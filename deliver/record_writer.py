"""Writes to the topics of deliveries, one write after the other, until the brokers have acknowledged it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from paynotify.processors.transport.batch_writer import write
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.schemas.records import Output


class DeliveryWriter:
    """The producer of one process.

    Writes take turns: a record that is written again after a failure would otherwise follow its own tombstone, and the
    delivery would be made again by the next owner. An idempotent producer would not help, for each try is a new record.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._producer: Any = None
        self._turn = asyncio.Lock()
        self._publisher = OutputPublisher(self)

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: no broker answers.
        """
        self._producer = AIOKafkaProducer(**self._settings, acks="all")
        await self._producer.start()

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Return when the brokers have acknowledged all outputs. It tries until then."""
        if outputs:
            async with self._turn:
                await self._publisher.publish(outputs)

    async def write(self, outputs: Sequence[Output]) -> tuple[float, ...]:
        """One try.

        Raises:
            KafkaError: the brokers did not acknowledge every record.
        """
        return (await write(self._producer, outputs)).stamps_seconds
