"""A state's changelog in Kafka: one record per key and batch, read back into the local store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.store import LocalStore
from schemas.records import Output

_RECORDS_AT_A_TIME: Final = 2_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
_WAIT_MILLISECONDS: Final = 1_000


class Changelog:
    """One partition of a unit's changelog topic. ``settings`` are those of every aiokafka client."""

    def __init__(self, settings: Mapping[str, Any], topic: str, partition: int) -> None:
        self._settings = settings
        self._place = TopicPartition(topic, partition)

    @property
    def name(self) -> str:
        """Topic and partition, for people."""
        return f"{self._place.topic}/{self._place.partition}"

    def outputs(self, changes: Mapping[bytes, bytes | None]) -> Iterator[Output]:
        """One record per key, in the partition whose source caused the change."""
        return (Output(self._place.topic, key, value, (), self._place.partition) for key, value in changes.items())

    async def catch_up(self, store: LocalStore) -> int:
        """Read what the store does not hold yet, to the changelog's end of now. Returns how many records that were.

        What a killed process had not committed is left out: its outputs don't count either, and the work is repeated.

        Raises:
            aiokafka.errors.KafkaError: the brokers can't be reached; what was read until then is kept.
        """
        consumer = AIOKafkaConsumer(
            **self._settings,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        await consumer.start()
        try:
            consumer.assign([self._place])
            return await self._read(consumer, store)
        finally:
            await consumer.stop()

    async def _read(self, consumer: Any, store: LocalStore) -> int:
        first = (await consumer.beginning_offsets([self._place]))[self._place]
        end = (await consumer.end_offsets([self._place]))[self._place]
        start = store.next_offset
        if start is not None and start > end:
            # the topic was made anew, or brokers lost its end: values that it doesn't hold must not count
            store.clear()
            start = None
        position = max(first, start or 0)
        consumer.seek(self._place, position)
        count = 0
        while position < end:
            found = await consumer.getmany(self._place, timeout_ms=_WAIT_MILLISECONDS, max_records=_RECORDS_AT_A_TIME)
            records = found.get(self._place, ())
            position = await consumer.position(self._place)
            store.write({record.key: record.value for record in records if record.key}, position)
            count += len(records)
        if start is None or start < end:
            store.write({}, end)
        return count
