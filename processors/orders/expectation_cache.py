"""What the shops expect, at hand when a provider's answer is read, so that a payment's first event is already compared.

A view of the whole topic ``payments.expected`` on the local disk, read by each process for itself. What it says of a
payment goes into the observation, and so into the order of the log: a batch repeated after a crash may find more here
than the first time, which makes another observation and never another event of the same sequence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from processors.orders.intake_stage import expected_of, said
from processors.state.local_store import LocalStore
from schemas import messages
from schemas.errors import StateUnavailableError, UnreadableError
from schemas.messages import Expectation
from service.logs import event

logger = logging.getLogger("paynotify.expectations")

_RECORDS_AT_A_TIME: Final = 2_000
_WAIT_MILLISECONDS: Final = 1_000
_AGAIN_SECONDS: Final = 2.0
#: How long a new partition of the topic may stay unread.
_PARTITIONS_SECONDS: Final = 30.0
#: As many processes may share one state directory.
_MOST_READERS: Final = 16


class ExpectedPayments(Protocol):
    """What is known of the shops' orders."""

    async def ready(self) -> None:
        """Returns when all that was expected at the start is known."""

    def of(self, merchant: str, payment_id: str, order_id: str | None) -> Expectation | None:
        """What the shop expects of the payment, by its id or else by its order."""


class ExpectationCache:
    """The topic's newest expectation of each order. ``settings`` are those of every aiokafka client.

    Processes that share ``directory`` each have a part of it for themselves: its files can be open once.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, directory: Path, keep_seconds: int) -> None:
        self._settings = settings
        self._topic = topic
        self._stores = [LocalStore(directory / str(number), keep_seconds) for number in range(_MOST_READERS)]
        self._store = self._stores[0]
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read, and go on until `stop`."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._store.close()

    async def ready(self) -> None:
        await self._ready.wait()

    @property
    def behind(self) -> bool:
        """Whether not all that was expected at the start is known yet."""
        return not self._ready.is_set()

    def of(self, merchant: str, payment_id: str, order_id: str | None) -> Expectation | None:
        """
        Raises:
            StateUnavailableError: the files can't be read.
        """
        named = self._known(_payment_key(merchant, payment_id))
        order = named.order_id if named is not None else order_id
        newest = self._known(_order_key(merchant, order)) if order is not None else None
        if newest is None or named is None:
            return newest
        # the order's newest word counts, also where it doesn't repeat the payment's id
        return replace(newest, announced=named.said)

    def _known(self, key: bytes) -> Expectation | None:
        found = self._store.get(key)
        return None if found is None else messages.decode(found, Expectation)

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 - whatever it was, without it no answer is read any more
                event(
                    logger,
                    "expected_payments_unavailable",
                    level=logging.WARNING,
                    error=type(error).__name__,
                )
            await asyncio.sleep(_AGAIN_SECONDS)

    def _open(self) -> None:
        """Take the first part of the directory that no other process has open."""
        for number, store in enumerate(self._stores):
            try:
                store.get(_next_key(0))
            except StateUnavailableError:
                if number + 1 == len(self._stores):
                    raise
            else:
                self._store = store
                return

    async def _read(self) -> None:
        """Read until the topic has other partitions than at the beginning."""
        if self.behind:
            self._open()
        consumer = AIOKafkaConsumer(**self._settings, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            await self._follow(consumer)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: Any) -> None:
        places = await self._places()
        consumer.assign(places)
        ends = await self._seek(consumer, places)
        look_again = time.monotonic() + _PARTITIONS_SECONDS
        while True:
            if time.monotonic() > look_again:
                look_again = time.monotonic() + _PARTITIONS_SECONDS
                if await self._places() != places:
                    return
            if not self._ready.is_set() and not await _behind(consumer, ends):
                self._ready.set()
                event(logger, "expected_payments_loaded")
            found = await consumer.getmany(timeout_ms=_WAIT_MILLISECONDS, max_records=_RECORDS_AT_A_TIME)
            for place, records in found.items():
                self.take(place.partition, records)

    async def _places(self) -> list[Any]:
        admin = AIOKafkaAdminClient(**self._settings)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([self._topic])
        finally:
            await admin.close()
        places = sorted(TopicPartition(self._topic, one["partition"]) for one in described["partitions"])
        if not places:
            raise UnknownTopicOrPartitionError
        return places

    async def _seek(self, consumer: Any, places: list[Any]) -> dict[Any, int]:
        firsts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            held = self._store.get(_next_key(place.partition))
            start = int(held) if held is not None else 0
            # beyond the end: the topic was made anew
            consumer.seek(place, max(firsts[place], start if start <= ends[place] else 0))
        return dict(ends)

    def take(self, partition: int, records: Sequence[Any]) -> None:
        """Take over a partition's next records (aiokafka's). What can't be read is buried by the stage that reads the
        topic for all."""
        changes: dict[bytes, bytes | None] = {_next_key(partition): str(records[-1].offset + 1).encode()}
        for record in records:
            try:
                expected = expected_of(record.value)
            except UnreadableError:
                continue
            place = said(expected, record.timestamp, partition, record.offset)
            told = Expectation(order_id=expected.order_id, amount=expected.amount, said=place)
            keys = [_order_key(expected.merchant, expected.order_id)]
            if expected.payment_id is not None:
                keys.append(_payment_key(expected.merchant, expected.payment_id))
            for key in keys:
                known = changes.get(key) or self._store.get(key)
                if known is None or told.said >= messages.decode(known, Expectation).said:
                    changes[key] = messages.encode(told)
        self._store.write(changes, 0)


async def _behind(consumer: Any, ends: Mapping[Any, int]) -> bool:
    return any([await consumer.position(place) < end for place, end in ends.items()])


def _order_key(merchant: str, order_id: str) -> bytes:
    return b"order\0" + f"{merchant}/{order_id}".encode()


def _payment_key(merchant: str, payment_id: str) -> bytes:
    return b"payment\0" + f"{merchant}/{payment_id}".encode()


def _next_key(partition: int) -> bytes:
    return b"next\0%d" % partition
