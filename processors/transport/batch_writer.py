"""Writes records to Kafka with one future for each batch, where aiokafka's ``send`` makes one for each record.

Like ``send``, it appends to the batch that is open, so that concurrent writers share one. aiokafka's public
``send_batch`` has one future for each batch too. But it waits until all earlier batches of the partition were sent:
writers of single records would take turns, each for a round trip.
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, ProducerClosed
from aiokafka.structs import TopicPartition

from paynotify.schemas.records import Output
from paynotify.service.partitioner import partition_of

#: A payment's key comes once in each stage, and its hash costs more than appending the record.
_REMEMBERED_KEYS: Final = 16_384
#: The ``timestamp_type`` of records with the brokers' time.
_STAMPED_BY_BROKERS: Final = 1
_remembered = lru_cache(_REMEMBERED_KEYS)(partition_of)


@dataclass(frozen=True, slots=True)
class _Appended:
    """Records at the end of a batch. ``count`` is the number of records in the batch up to their last one."""

    place: TopicPartition
    count: int
    acknowledged: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What the brokers acknowledged: the offset after the last record by partition, and the times in Unix seconds with
    which they stamped records of topics that they stamp themselves."""

    next_offsets: Mapping[TopicPartition, int]
    stamps_seconds: tuple[float, ...]


async def write(producer: Any, outputs: Iterable[Output]) -> Written:
    """Write with a started ``AIOKafkaProducer``, in the order given within each partition.

    Returns once the brokers have acknowledged all records. No failure stays unseen.

    Raises:
        MessageSizeTooLargeError: a record is too large; nothing is written.
        Exception: the first failure, after all other batches have their result.
    """
    appended: list[_Appended] = []
    try:
        for place, records in (await _by_partition(producer, outputs)).items():
            await _append(producer, place, records, appended)
    except Exception:
        await all_done([one.acknowledged for one in appended])
        raise
    except asyncio.CancelledError:
        # without waiting: the brokers may be away, and a worker that stops would wait for them
        for one in appended:
            one.acknowledged.cancel()
        raise
    await all_done([one.acknowledged for one in appended])
    done = [(one, one.acknowledged.result()) for one in appended]
    return Written(
        {one.place: batch.offset + one.count for one, batch in done},
        tuple(batch.timestamp / 1000 for _, batch in done if batch.timestamp_type == _STAMPED_BY_BROKERS),
    )


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


def chosen_partition(key: bytes | None, partitions: Sequence[int]) -> int:
    """The partition of a key, as every Kafka client chooses it; any partition without a key."""
    if key is None:
        return random.choice(partitions)  # noqa: S311 - it spreads load and protects nothing
    return partitions[_remembered(key, len(partitions))]


async def _by_partition(producer: Any, outputs: Iterable[Output]) -> Mapping[TopicPartition, Sequence[Output]]:
    numbers: dict[str, Sequence[int]] = {}
    found: dict[TopicPartition, list[Output]] = {}
    for output in outputs:
        topic = output.topic
        if output.value is not None and len(output.value) >= producer._max_request_size:
            # refused by the brokers, it would leave a hole in the sequence numbers: they would refuse all that follows
            raise MessageSizeTooLargeError(f"a record of {topic} has {len(output.value)} bytes")
        if topic not in numbers:
            numbers[topic] = sorted(await producer.partitions_for(topic))
        number = output.partition if output.partition is not None else chosen_partition(output.key, numbers[topic])
        found.setdefault(TopicPartition(topic, number), []).append(output)
    return found


async def _append(producer: Any, place: TopicPartition, records: Sequence[Output], appended: list[_Appended]) -> None:
    """Append to the partition's open batch, and to the next ones when it is full.

    Each of them may take as long as a request to be sent: otherwise a large write, given up half-way and repeated from
    its beginning, would never end on a slow broker.
    """
    accumulator, seconds = producer._message_accumulator, producer._request_timeout_ms / 1000
    done, until = 0, time.monotonic() + seconds
    while done < len(records):
        batch = _open_batch(accumulator, place)
        fitting = _append_fitting(batch, records[done:])
        if fitting:
            # other writers wait for the same future: it must not be cancelled with this one
            appended.append(_Appended(place, batch.record_count, asyncio.shield(batch.future)))
            done, until = done + fitting, time.monotonic() + seconds
        if done < len(records):
            _wake_sender(accumulator)
            await batch.wait_drain(until - time.monotonic())
            if time.monotonic() >= until:
                raise KafkaTimeoutError


def _open_batch(accumulator: Any, place: TopicPartition) -> Any:
    if accumulator._closed:
        raise ProducerClosed
    if accumulator._exception is not None:
        raise copy.copy(accumulator._exception)
    pending = accumulator._batches.get(place)
    return pending[-1] if pending else accumulator._append_batch(accumulator.create_builder(), place)


def _append_fitting(batch: Any, records: Sequence[Output]) -> int:
    """Append until the batch is full; returns how many records fitted. The first record of a batch always fits."""
    append, milliseconds = batch._builder.append, int(time.time() * 1000)
    for number, one in enumerate(records):
        if append(timestamp=milliseconds, key=one.key, value=one.value, headers=list(one.headers)) is None:
            return number
    return len(records)


def _wake_sender(accumulator: Any) -> None:
    if not accumulator._waiter_future.done():
        accumulator._waiter_future.set_result(None)
