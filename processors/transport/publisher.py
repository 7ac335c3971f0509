"""Publishes outputs and waits until the brokers have acknowledged every one of them.

A send that returns has only put a record into a buffer: a process that then commits its source loses the record if it
ends before the buffer is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.schemas.records import Output
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.publisher")

_FIRST_PAUSE_SECONDS: Final = 0.2
_MAX_PAUSE_SECONDS: Final = 10.0


class RecordWriter(Protocol):
    """Writes records."""

    async def write(self, outputs: Sequence[Output]) -> Iterable[float]:
        """Returns when the brokers have acknowledged all of them, with the times, in Unix seconds, at which they
        stamped any."""


class OutputPublisher:
    """Publishes a batch's outputs in order, and retries until that succeeds or the caller is cancelled.

    ``clock`` learns the brokers' time from it.
    """

    def __init__(self, writer: RecordWriter, clock: BrokersClock | None = None) -> None:
        self._writer = writer
        self._clock = clock or BrokersClock()

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Returns when the brokers have acknowledged all outputs.

        After a failure the whole sequence is sent again, because a part of it would overtake the rest. Duplicates are
        identical records, and delivery is at least once for every reader anyway.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                sent_at = self._clock.elapsed()
                stamps_seconds = await self._writer.write(outputs)
                self._clock.stamped(sent_at, self._clock.elapsed(), stamps_seconds)
                return
            except KafkaError as error:
                event(
                    logger,
                    "publish_failed_retrying",
                    level=logging.WARNING,
                    error=type(error).__name__,
                    records=len(outputs),
                )
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _MAX_PAUSE_SECONDS)
