"""Finds the records that contain one of a few byte strings, by searching whole record batches before parsing them.

``paynotify trace`` needs a handful of records among a million. Parsing every one with the consumer costs 5 to 6
microseconds of CPU a record. Measured on a topic of 300,000 results (three runs each, the start of Python, 0.55 s,
included):

                          this module     AIOKafkaConsumer
    trace by payment      0.65 s          1.3 s
    trace by order        0.9 s           3.2 s

For a million results that is 2 s against 9 s by order, and the benchmark's limit is 5 s (tests/bench/targets.py). So
the batches are fetched as the log stores them, one substring search skips nearly all of them, and only a batch that may
contain a match, or a compressed one, is parsed. This uses aiokafka's client below its consumer; the batch header is
Kafka's message format 2, which no release of Kafka may change in place.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record import MemoryRecords
from kafka import TopicPartition

from schemas.records import Record

#: base offset, length of the rest, leader epoch, magic, checksum, attributes, last offset delta
_BATCH: Final = struct.Struct(">qiibIhi")
_PREFIX_BYTES: Final = 12
_CODEC_BITS: Final = 0x07
_MAGIC: Final = 2

_FETCH_BYTES: Final = 8 * 1024 * 1024
_WAIT_MILLISECONDS: Final = 100
_PAUSE_SECONDS: Final = 0.2
_STALL_SECONDS: Final = 30.0

#: Whether a record is wanted, by its key and value.
RecordFilter = Callable[[bytes | None, bytes | None], bool]


class RawScan:
    """A connection for scans, to be opened and closed in the event loop that uses it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = AIOKafkaClient(**settings)

    async def open(self) -> None:
        """Connect."""
        await self._client.bootstrap()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def scan(
        self, topic: str, partition: int, start: int, end: int, needles: Collection[bytes], wanted: RecordFilter
    ) -> list[Record]:
        """The wanted records from offset ``start`` up to, not including, ``end``.

        A wanted record must contain one of the ``needles`` in its key, value or headers.

        Raises:
            KafkaError: the brokers refuse the request, or return nothing for 30 seconds.
        """
        found: list[Record] = []
        progress_at = time.monotonic()
        while start < end:
            raw = await self._fetch(TopicPartition(topic, partition), start)
            following = start
            for first, last, following, compressed in batches(raw):
                if compressed or any(raw.find(needle, first, last) >= 0 for needle in needles):
                    found += [
                        one for one in _records(topic, partition, raw[first:last], wanted) if start <= one.offset < end
                    ]
                if following >= end:
                    break
            if following > start:
                start, progress_at = following, time.monotonic()
            elif time.monotonic() - progress_at > _STALL_SECONDS:
                raise NotLeaderForPartitionError(f"no record of {topic} for {_STALL_SECONDS:g} s")
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def _fetch(self, partition: Any, offset: int) -> bytes:
        """Batches starting with the one that contains the offset; empty while the partition has no leader."""
        node = self._client.cluster.leader_for_partition(partition)
        if node is None or node == -1:
            await self._client.add_topic(partition.topic)
            node = self._client.cluster.leader_for_partition(partition)
        if node is None or node == -1:
            return b""
        partitions = [(partition.topic, [(partition.partition, offset, _FETCH_BYTES)])]
        response = await self._client.send(node, FetchRequest(_WAIT_MILLISECONDS, 1, _FETCH_BYTES, 0, partitions))
        ((_, ((_, code, *_, raw),)),) = response.topics
        error: type[KafkaError] = for_code(code)
        if error is NotLeaderForPartitionError:
            await self._client.force_metadata_update()
            return b""
        if code:
            raise error
        return bytes(raw or b"")


def batches(raw: bytes) -> Iterator[tuple[int, int, int, bool]]:
    """Each complete batch: its first and last byte, the offset after it, and whether it must be parsed to be searched.

    A response may end with part of a batch, which is left out.
    """
    position, length = 0, len(raw)
    while position + _BATCH.size <= length:
        base, size, _, magic, _, attributes, distance = _BATCH.unpack_from(raw, position)
        last = position + _PREFIX_BYTES + size
        if last > length:
            return
        yield position, last, base + distance + 1, magic != _MAGIC or bool(attributes & _CODEC_BITS)
        position = last


def _records(topic: str, partition: int, raw: bytes, wanted: RecordFilter) -> Sequence[Record]:
    found = []
    log = MemoryRecords(raw)
    while log.has_next():
        batch = log.next_batch()
        if batch.is_control_batch:
            continue
        for one in batch:
            if wanted(one.key, one.value):
                headers = tuple(one.headers)
                found.append(
                    Record(topic, partition, one.offset, one.key, one.value, headers, (one.timestamp or 0) / 1000)
                )
    return found
