"""Finding the records that hold one of a few byte strings, by searching the log's batches as they are.

Making a record out of every few hundred bytes costs 5 microseconds, and all but a handful are thrown away. Batches
come as the log holds them, so most are passed over by one search for the key's bytes; only those that may hold it, and
compressed ones, are taken apart. That is what lets ``paynotify trace`` look through a million records in a second or
two. It uses aiokafka's client below its consumer; the layout of a batch is Kafka's own (message format 2).
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

#: base offset, length of what follows them, leader epoch, magic, checksum, attributes, last offset's distance
_BATCH: Final = struct.Struct(">qiibIhi")
_PREFIX_BYTES: Final = 12
_CODEC_BITS: Final = 0x07
_MAGIC: Final = 2

_FETCH_BYTES: Final = 8 * 1024 * 1024
_WAIT_MILLISECONDS: Final = 100
_PAUSE_SECONDS: Final = 0.2
_SILENCE_SECONDS: Final = 30.0

#: Judges a record by key and value, which may be none.
Wanted = Callable[[bytes | None, bytes | None], bool]


class RawScan:
    """A connection for scans; open and close it in the event loop that uses it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = AIOKafkaClient(**settings)

    async def open(self) -> None:
        """Connect."""
        await self._client.bootstrap()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def scan(
        self, topic: str, partition: int, start: int, end: int, needles: Collection[bytes], wanted: Wanted
    ) -> list[Record]:
        """The wanted records from offset ``start`` up to, not including, ``end``; each holds one of the needles.

        Raises:
            KafkaError: the brokers refuse or stay silent.
        """
        found: list[Record] = []
        heard = time.monotonic()
        while start < end:
            raw = await self._fetch(TopicPartition(topic, partition), start)
            following = start
            for first, last, following, opaque in batches(raw):
                if opaque or any(raw.find(needle, first, last) >= 0 for needle in needles):
                    found += [
                        one for one in _records(topic, partition, raw[first:last], wanted) if start <= one.offset < end
                    ]
                if following >= end:
                    break
            if following > start:
                start, heard = following, time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                raise NotLeaderForPartitionError(f"nothing of {topic} for {_SILENCE_SECONDS:g} s")
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def _fetch(self, place: Any, offset: int) -> bytes:
        """The batches from the one that holds the offset on; empty when there is no leader just now."""
        node = self._client.cluster.leader_for_partition(place)
        if node is None or node == -1:
            await self._client.add_topic(place.topic)
            node = self._client.cluster.leader_for_partition(place)
        if node is None or node == -1:
            return b""
        asked = [(place.topic, [(place.partition, offset, _FETCH_BYTES)])]
        response = await self._client.send(node, FetchRequest(_WAIT_MILLISECONDS, 1, _FETCH_BYTES, 0, asked))
        ((_, ((_, code, *_, raw),)),) = response.topics
        error: type[KafkaError] = for_code(code)
        if error is NotLeaderForPartitionError:
            await self._client.force_metadata_update()
            return b""
        if code:
            raise error
        return bytes(raw or b"")


def batches(raw: bytes) -> Iterator[tuple[int, int, int, bool]]:
    """Each whole batch: where it begins and ends, the offset after it, and whether its bytes can't be searched."""
    position, length = 0, len(raw)
    while position + _BATCH.size <= length:
        base, size, _, magic, _, attributes, distance = _BATCH.unpack_from(raw, position)
        last = position + _PREFIX_BYTES + size
        if last > length:
            return
        yield position, last, base + distance + 1, magic != _MAGIC or bool(attributes & _CODEC_BITS)
        position = last


def _records(topic: str, partition: int, raw: bytes, wanted: Wanted) -> Sequence[Record]:
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
