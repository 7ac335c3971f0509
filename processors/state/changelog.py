"""A state's changelog in Kafka: one record per key and batch, one writer at a time, read into the local store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from paynotify.processors.state.store import STATE_FORMAT, StateStore
from paynotify.processors.transport.fenced_producer import FencedProducer
from paynotify.schemas.errors import StateUnavailableError
from paynotify.schemas.records import Output

_MAX_POLL_RECORDS: Final = 2_000
#: More records than this are worth preparing the store for a bulk load.
_BULK_LOAD_RECORDS: Final = 10_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
#: Short: the last offset is usually the transaction marker of whoever acquired the partition, for which the client
#: would wait until the end.
_POLL_MILLISECONDS: Final = 50
_FETCH_WAIT_MILLISECONDS: Final = 20

#: An owner that has not written for longer than this verifies its ownership before it publishes.
_VERIFY_AFTER_SECONDS: Final = 0.25

#: Ownership older than this is acquired again: brokers forget an idle producer's epoch after a day, and its id after a
#: week.
_REACQUIRE_AFTER_SECONDS: Final = 12 * 3600.0

#: The key of records that only verify their writer's ownership. No stage's key begins with a zero byte.
_OWNERSHIP_KEY: Final = b"\0held"

#: Names the format of a record's value if it is not the first.
_FORMAT_HEADER: Final = "state-format"


class Changelog:
    """One partition of a stage's changelog topic. ``settings`` are those of every aiokafka client."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        topic: str,
        partition: int,
        *,
        sandbox: bool = False,
        producer: FencedProducer | None = None,
    ) -> None:
        self._settings = settings
        self._place = TopicPartition(topic, partition)
        self._producer = producer or FencedProducer(settings, f"{topic}.{partition}", self._place, optional=sandbox)

    @property
    def name(self) -> str:
        """Topic and partition, for messages to people."""
        return f"{self._place.topic}/{self._place.partition}"

    async def acquire(self) -> None:
        """Become the partition's only writer.

        Raises:
            aiokafka.errors.KafkaError: the brokers failed; try again.
            PartitionRevokedError: another process acquired it at the same time; try again.
        """
        await self._producer.acquire()

    @property
    def must_be_reacquired(self) -> bool:
        """Whether the ownership is so old that the brokers may soon forget it."""
        return self._producer.age_seconds() > _REACQUIRE_AFTER_SECONDS

    async def verify_ownership(self, *, force: bool = False) -> None:
        """Verify that this process owned the partition at its last acknowledged write, a moment ago.

        With ``force`` that write is made now, however recent the last one is. The machine may still freeze right
        afterwards: the brokers refuse what it publishes then (`publish`).

        Raises:
            PartitionRevokedError: another process has acquired the partition.
        """
        if force or self._producer.seconds_since_written() > _VERIFY_AFTER_SECONDS:
            await self.write({_OWNERSHIP_KEY: b""})

    async def write(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> int:
        """Write one record for each key. Returns, once the brokers have acknowledged all, the offset after the last.

        Raises:
            PartitionRevokedError: another process has acquired the partition.
        """
        headers = _format_headers(state_format)
        return await self._producer.write(
            [Output(self._place.topic, key, value, headers, self._place.partition) for key, value in changes.items()]
        )

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish a batch's outputs with the changelog's fenced producer. Returns when the brokers have them.

        An unfenced late repeat would be identical byte by byte, and still turn `payments.latest` back to an older event
        for good.

        Raises:
            PartitionRevokedError: another process has acquired the partition and written to the outputs' partitions.
        """
        await self._producer.publish(outputs)

    async def close(self) -> None:
        """Close the connections."""
        await self._producer.close()

    async def catch_up(self, store: StateStore, on_progress: Callable[[], None] = lambda: None) -> int:
        """Read what the store does not contain yet, up to the changelog's present end. Returns the number of records.

        ``on_progress`` is called after each part, so that a long recovery does not look like a stall.

        Raises:
            aiokafka.errors.KafkaError: the brokers cannot be reached; what was read so far is in the store.
            StateUnavailableError: the store cannot be written, or a later release has written values in another format.
        """
        consumer = AIOKafkaConsumer(
            **self._settings,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # in case the next records are deleted meanwhile
            fetch_max_wait_ms=_FETCH_WAIT_MILLISECONDS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        await consumer.start()
        try:
            consumer.assign([self._place])
            return await self._read(consumer, store, on_progress)
        finally:
            await consumer.stop()

    async def _read(self, consumer: Any, store: StateStore, on_progress: Callable[[], None]) -> int:
        first = (await consumer.beginning_offsets([self._place]))[self._place]
        end = (await consumer.end_offsets([self._place]))[self._place]
        start = store.next_offset
        if start is not None and start > end:
            # the topic was recreated, or the brokers lost its end: values that it does not contain must not count
            store.clear()
            start = None
        position = max(first, start or 0)
        consumer.seek(self._place, position)
        with store.loading() if end - position > _BULK_LOAD_RECORDS else nullcontext():
            count = await self._read_to(end, position, consumer, store, on_progress)
        if start is None or start < end:
            store.write({}, end)
        return count

    async def _read_to(
        self, end: int, position: int, consumer: Any, store: StateStore, on_progress: Callable[[], None]
    ) -> int:
        count = 0
        while position < end:
            found = await consumer.getmany(self._place, timeout_ms=_POLL_MILLISECONDS, max_records=_MAX_POLL_RECORDS)
            records = found.get(self._place, ())
            state_format = max((_format_of(one.headers) for one in records if one.headers), default=1)
            if state_format > STATE_FORMAT:
                raise StateUnavailableError(
                    f"{self.name} was written by a later release, whose values this one cannot store"
                )
            position = await consumer.position(self._place)
            changes = {one.key: one.value for one in records if one.key and one.key != _OWNERSHIP_KEY}
            store.write(changes, position, state_format)
            count += len(records)
            on_progress()
        return count


def _format_headers(state_format: int) -> tuple[tuple[str, bytes], ...]:
    return ((_FORMAT_HEADER, b"%d" % state_format),) if state_format > 1 else ()


def _format_of(headers: Sequence[tuple[str, bytes]]) -> int:
    return next((int(value) for name, value in headers if name == _FORMAT_HEADER), 1)
