"""Sending outputs and waiting until the brokers have every one of them.

A send that returns is only a record in a buffer; the difference has cost others data (design section 7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError

from schemas.records import Output
from service.logs import event

logger = logging.getLogger("paynotify.publisher")

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 10.0


class Metadata(Protocol):
    """Where an acknowledged record lies."""

    offset: int


class RecordProducer(Protocol):
    """The part of a Faust producer that is used here."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: list[tuple[str, bytes]],
    ) -> asyncio.Future[Metadata]: ...


class OutputPublisher:
    """Publishes a batch's outputs in order; never gives up while the stage lives."""

    def __init__(self, sender: RecordProducer) -> None:
        self._sender = sender

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Returns when the brokers have acknowledged all of them, in the order given.

        After a failure the whole sequence is sent again: a part of it would overtake the rest. Repeats are
        identical records, which every reader must bear anyway (G5).
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._once(outputs)
            except (KafkaError, ProducerSendError) as error:
                event(
                    logger,
                    "publish_failed_retrying",
                    level=logging.WARNING,
                    error=type(error).__name__,
                    records=len(outputs),
                )
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    async def _once(self, outputs: Sequence[Output]) -> list[Metadata]:
        send = self._sender.send
        return await acknowledged(
            lambda one: send(one.topic, one.key, one.value, one.partition, None, list(one.headers)), outputs
        )


async def acknowledged(
    send: Callable[[Output], Awaitable[asyncio.Future[Metadata]]], outputs: Sequence[Output]
) -> list[Metadata]:
    """Send all in the order given and wait for every broker's answer; the first failure is raised after all of them.

    None is left to fail unseen.
    """
    waiting: list[asyncio.Future[Metadata]] = []
    try:
        for output in outputs:
            waiting.append(await send(output))
    finally:
        await all_done(waiting)
    return [one.result() for one in waiting]


async def all_done(waiting: Sequence[asyncio.Future[Any]]) -> None:
    """Returns when each of them has a result or a failure; cancelled, it cancels them all.

    They are waited for one after the other: most come together, and to watch all of them would cost more than that.
    """
    try:
        for one in waiting:
            with suppress(Exception):
                await one
    except BaseException:
        for one in waiting:
            one.cancel()
        raise
