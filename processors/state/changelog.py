"""A state's changelog in Kafka: one record per key and batch, by one writer at a time, read into the local store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.state import local_store as local
from processors.state.local_store import LocalStore
from processors.transport.fenced_producer import FencedProducer
from schemas.errors import StateUnavailableError
from schemas.records import Output

_RECORDS_AT_A_TIME: Final = 2_000
#: More than so many records are worth the preparation of a large load.
_MANY: Final = 10_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
#: Short: its last offset is as a rule the mark of who took it, and for that the client would wait to the end.
_WAIT_MILLISECONDS: Final = 50
_FETCH_WAIT_MILLISECONDS: Final = 20

#: A holder that has not written for so long asks the brokers before it publishes anything.
_CONFIRM_SECONDS: Final = 0.25

#: A hold this old is taken anew: brokers forget what keeps others out (a day, a week) if it is not renewed.
_OLD_SECONDS: Final = 12 * 3600.0

#: The key of records that only ask whether their writer still holds the partition. No stage's key begins so.
_CONFIRMATION: Final = b"\0held"


#: Names the format of a record's value where it is not the first.
_FORMAT_HEADER: Final = "state-format"


class Changelog:
    """One partition of a unit's changelog topic. ``settings`` are those of every aiokafka client."""

    def __init__(self, settings: Mapping[str, Any], topic: str, partition: int, *, sandbox: bool = False) -> None:
        self._settings = settings
        self._place = TopicPartition(topic, partition)
        self._fence = FencedProducer(settings, f"{topic}.{partition}", self._place, optional=sandbox)

    @property
    def name(self) -> str:
        """Topic and partition, for people."""
        return f"{self._place.topic}/{self._place.partition}"

    async def take(self) -> None:
        """Become its only writer.

        Raises:
            aiokafka.errors.KafkaError, PartitionRevokedError: try again.
        """
        await self._fence.take()

    @property
    def taken_long_ago(self) -> bool:
        """Whether it must be taken anew before it is written to."""
        return self._fence.age_seconds() > _OLD_SECONDS

    async def confirm(self, *, anew: bool = False) -> None:
        """Make sure that no other had taken it when a moment ago became now; ``anew``: by a record written only now.

        The machine may freeze at that very instant; what is published after it is refused by the brokers (`publish`).

        Raises:
            PartitionRevokedError: another has taken it.
        """
        if anew or self._fence.seconds_since_written() > _CONFIRM_SECONDS:
            await self.write({_CONFIRMATION: b""})

    async def write(self, changes: Mapping[bytes, bytes | None], state_format: int = 1) -> int:
        """Returns when the brokers have one record for each key: the offset after the last of them.

        Raises:
            PartitionRevokedError: another has taken it.
        """
        headers = _format_headers(state_format)
        written = await self._fence.write(
            [Output(self._place.topic, key, value, headers, self._place.partition) for key, value in changes.items()]
        )
        return max(one.offset for one in written) + 1

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Returns when the brokers have a batch's outputs, as the changelog's holder.

        A late repeat would be the same byte by byte, and yet turn `payments.latest` back to an older event for good.

        Raises:
            PartitionRevokedError: another has taken it and written where these were to go.
        """
        await self._fence.publish(outputs)

    async def close(self) -> None:
        """Give up the connections."""
        await self._fence.close()

    async def catch_up(self, store: LocalStore, moved: Callable[[], None] = lambda: None) -> int:
        """Read what the store does not hold yet, to the changelog's end of now. Returns how many records that were.

        ``moved`` is called with each part of it, so that a long recovery doesn't look like a standstill.

        Raises:
            aiokafka.errors.KafkaError: the brokers can't be reached; what was read until then is kept.
            StateUnavailableError: the files can't be written, or a later release has written values of another format.
        """
        consumer = AIOKafkaConsumer(
            **self._settings,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # should the records to be read next be deleted meanwhile
            fetch_max_wait_ms=_FETCH_WAIT_MILLISECONDS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        await consumer.start()
        try:
            consumer.assign([self._place])
            return await self._read(consumer, store, moved)
        finally:
            await consumer.stop()

    async def _read(self, consumer: Any, store: LocalStore, moved: Callable[[], None]) -> int:
        first = (await consumer.beginning_offsets([self._place]))[self._place]
        end = (await consumer.end_offsets([self._place]))[self._place]
        start = store.next_offset
        if start is not None and start > end:
            # the topic was made anew, or brokers lost its end: values that it doesn't hold must not count
            store.clear()
            start = None
        position = max(first, start or 0)
        consumer.seek(self._place, position)
        with store.loading() if end - position > _MANY else nullcontext():
            count = await self._read_to(end, position, consumer, store, moved)
        if start is None or start < end:
            store.write({}, end)
        return count

    async def _read_to(
        self, end: int, position: int, consumer: Any, store: LocalStore, moved: Callable[[], None]
    ) -> int:
        count = 0
        while position < end:
            found = await consumer.getmany(self._place, timeout_ms=_WAIT_MILLISECONDS, max_records=_RECORDS_AT_A_TIME)
            records = found.get(self._place, ())
            state_format = max((_format_of(one.headers) for one in records if one.headers), default=1)
            if state_format > local.STATE_FORMAT:
                raise StateUnavailableError(
                    f"{self.name} was written by a later release, whose values this one can't keep"
                )
            position = await consumer.position(self._place)
            changes = {one.key: one.value for one in records if one.key and one.key != _CONFIRMATION}
            store.write(changes, position, state_format)
            count += len(records)
            moved()
        return count


def _format_headers(state_format: int) -> tuple[tuple[str, bytes], ...]:
    return ((_FORMAT_HEADER, b"%d" % state_format),) if state_format > 1 else ()


def _format_of(headers: Sequence[tuple[str, bytes]]) -> int:
    return next((int(value) for name, value in headers if name == _FORMAT_HEADER), 1)
