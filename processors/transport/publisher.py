"""Publishes outputs and waits until the brokers have acknowledged every one of them.

A send that returns has only put a record into a buffer: a process that then commits its source loses the record if it
ends before the buffer is sent.
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
_MAX_PAUSE_SECONDS: Final = 10.0


class Metadata(Protocol):
    """The place of an acknowledged record."""

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
    """Publishes a batch's outputs in order, and retries until that succeeds or the caller is cancelled."""

    def __init__(self, sender: RecordProducer) -> None:
        self._sender = sender

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Returns when the brokers have acknowledged all outputs, in the order given.

        After a failure the whole sequence is sent again, because a part of it would overtake the rest. Duplicates are
        identical records, and delivery is at least once for every reader anyway.
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
            pause_seconds = min(pause_seconds * 2, _MAX_PAUSE_SECONDS)

    async def _once(self, outputs: Sequence[Output]) -> list[Metadata]:
        send = self._sender.send
        return await acknowledged(
            lambda one: send(one.topic, one.key, one.value, one.partition, None, list(one.headers)), outputs
        )


async def acknowledged(
    send: Callable[[Output], Awaitable[asyncio.Future[Metadata]]], outputs: Sequence[Output]
) -> list[Metadata]:
    """Send all outputs in the order given and wait for each acknowledgement. No failure stays unseen.

    Raises:
        Exception: the first failure, after all others have their result.
    """
    waiting: list[asyncio.Future[Metadata]] = []
    try:
        for output in outputs:
            waiting.append(await send(output))
    finally:
        await all_done(waiting)
    return [one.result() for one in waiting]


async def all_done(waiting: Sequence[asyncio.Future[Any]]) -> None:
    """Returns when each future has a result or an error. If this is cancelled, it cancels them all.

    It awaits one after the other: most complete together, and watching all of them at once would cost more.
    """
    try:
        for one in waiting:
            with suppress(Exception):
                await one
    except BaseException:
        for one in waiting:
            one.cancel()
        raise
