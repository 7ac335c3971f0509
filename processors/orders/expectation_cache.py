"""A local cache of all expected payments, so that a payment's first event is already compared with what was expected.

Each process reads the whole topic ``payments.expected`` into files of its own. What the cache holds for a payment
becomes part of the observation, and so of the order of records: a batch processed again after a crash may find more in
the cache than before, which makes another observation, but never a second event with the same sequence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError
from msgspec.structs import replace

from paynotify.processors.orders.expected_payment import parse_expected, version_of
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.processors.state.store import StateStore
from paynotify.schemas import messages
from paynotify.schemas.errors import StateUnavailableError, UnreadableError
from paynotify.schemas.messages import Expectation
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.expectations")

_MAX_RECORDS: Final = 2_000
_POLL_MILLISECONDS: Final = 1_000
_RETRY_SECONDS: Final = 2.0
#: How often the topic is checked for new partitions.
_PARTITION_CHECK_SECONDS: Final = 30.0
#: The number of processes that may share one state directory.
_MAX_PROCESSES: Final = 16


class ExpectedPayments(Protocol):
    """Finds what the shops expect."""

    async def ready(self) -> None:
        """Return once everything that was on the topic at the start is known."""

    def of(self, merchant: str, payment_id: str, order_id: str | None) -> Expectation | None:
        """The expectation of the payment, found by its id or else by its order; None if there is none."""


class ExpectationCache:
    """The newest expectation of each order on the topic.

    Processes that share ``directory`` use a subdirectory each, since its files can be open in one process only.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, directory: Path, retention_seconds: int) -> None:
        """``settings`` are those of every aiokafka client."""
        self._settings = settings
        self._topic = topic
        self._stores: list[StateStore] = [
            RocksDBStore(directory / str(number), retention_seconds) for number in range(_MAX_PROCESSES)
        ]
        self._store = self._stores[0]
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read the topic until `stop`."""
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
        """Whether something that was on the topic at the start is not known yet."""
        return not self._ready.is_set()

    def of(self, merchant: str, payment_id: str, order_id: str | None) -> Expectation | None:
        """The expectation of the payment.

        Raises:
            StateUnavailableError: the cache's files can't be read.
        """
        named = self._known(_payment_key(merchant, payment_id))
        order = named.order_id if named is not None else order_id
        newest = self._known(_order_key(merchant, order)) if order is not None else None
        if newest is None or named is None:
            return newest
        # the order's newest expectation counts, even if it does not name the payment id again
        return replace(newest, announced=named.said)

    def _known(self, key: bytes) -> Expectation | None:
        found = self._store.get(key)
        return None if found is None else messages.decode(found, Expectation)

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 - whatever failed, without the cache no response is interpreted
                event(
                    logger,
                    "expected_payments_unavailable",
                    level=logging.WARNING,
                    error=type(error).__name__,
                )
            await asyncio.sleep(_RETRY_SECONDS)

    def _open(self) -> None:
        """Use the first subdirectory that no other process has open."""
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
        """Read until the topic has other partitions than at the start."""
        if self.behind:
            self._open()
        consumer = AIOKafkaConsumer(**self._settings, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            await self._follow(consumer)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: Any) -> None:
        partitions = await self._topic_partitions()
        consumer.assign(partitions)
        ends = await self._seek(consumer, partitions)
        check_at = time.monotonic() + _PARTITION_CHECK_SECONDS
        while True:
            if time.monotonic() > check_at:
                check_at = time.monotonic() + _PARTITION_CHECK_SECONDS
                if await self._topic_partitions() != partitions:
                    return
            if not self._ready.is_set() and not await _behind(consumer, ends):
                self._ready.set()
                event(logger, "expected_payments_loaded")
            found = await consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_MAX_RECORDS)
            for one, records in found.items():
                self.apply(one.partition, records)

    async def _topic_partitions(self) -> list[Any]:
        admin = AIOKafkaAdminClient(**self._settings)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([self._topic])
        finally:
            await admin.close()
        partitions = sorted(TopicPartition(self._topic, one["partition"]) for one in described["partitions"])
        if not partitions:
            raise UnknownTopicOrPartitionError
        return partitions

    async def _seek(self, consumer: Any, partitions: list[Any]) -> dict[Any, int]:
        firsts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for one in partitions:
            stored = self._store.get(_next_key(one.partition))
            start = int(stored) if stored is not None else 0
            # an offset beyond the end is that of an earlier topic, which was deleted and created again
            consumer.seek(one, max(firsts[one], start if start <= ends[one] else 0))
        return dict(ends)

    def apply(self, partition: int, records: Sequence[Any]) -> None:
        """Apply a partition's next records (aiokafka's). Unreadable ones are skipped: `OrderIntakeStage` dead-letters
        them."""
        changes: dict[bytes, bytes | None] = {_next_key(partition): str(records[-1].offset + 1).encode()}
        for record in records:
            try:
                expected = parse_expected(record.value)
            except UnreadableError:
                continue
            version = version_of(expected, record.timestamp, partition, record.offset)
            newest = Expectation(
                order_id=expected.order_id, amount=expected.amount, said=version, several=expected.several
            )
            keys = [_order_key(expected.merchant, expected.order_id)]
            if expected.payment_id is not None:
                keys.append(_payment_key(expected.merchant, expected.payment_id))
            for key in keys:
                known = changes.get(key) or self._store.get(key)
                if known is None or newest.said >= messages.decode(known, Expectation).said:
                    changes[key] = messages.encode(newest)
        self._store.write(changes, 0)


async def _behind(consumer: Any, ends: Mapping[Any, int]) -> bool:
    return any([await consumer.position(one) < end for one, end in ends.items()])


def _order_key(merchant: str, order_id: str) -> bytes:
    return b"order\0" + f"{merchant}/{order_id}".encode()


def _payment_key(merchant: str, payment_id: str) -> bytes:
    return b"payment\0" + f"{merchant}/{payment_id}".encode()


def _next_key(partition: int) -> bytes:
    return b"next\0%d" % partition
