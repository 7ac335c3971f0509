"""Finds the records that contain one of a few byte strings, by searching whole record batches before parsing them.

``paynotify trace`` needs a handful of records among a million. Parsing every one with the consumer costs 5 to 6
microseconds of CPU a record. User CPU time measured on a topic of 300,000 results, of which 0.55 s is Python's start:

                          this module       AIOKafkaConsumer
    trace by payment      0.56 - 0.66 s     1.0 - 1.3 s
    trace by order        0.85 - 0.99 s     3.1 - 3.4 s

Extrapolated to a million results, a trace by order takes 2 s here and more than 9 s with the consumer, and the
benchmark's limit is 5 s (tests/bench/targets.py).

So the batches are fetched as the log stores them, one substring search skips nearly all of them, and only a batch that
may contain a match, or a compressed one, is parsed. The batch header is Kafka's message format 2, which no release of
Kafka may change in place.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Collection, Iterator
from typing import Final

from aiokafka.errors import NotLeaderForPartitionError

from paynotify.processors.transport.batch_fetcher import BatchFetcher, RecordFilter, parsed
from paynotify.schemas.records import Record

#: base offset, length of the rest, leader epoch, magic, checksum, attributes, last offset delta
_BATCH: Final = struct.Struct(">qiibIhi")
_PREFIX_BYTES: Final = 12
_CODEC_BITS: Final = 0x07
_MAGIC: Final = 2

_PAUSE_SECONDS: Final = 0.2
_STALL_SECONDS: Final = 30.0


class RawScan(BatchFetcher):
    """A connection for scans, to be opened and closed in the event loop that uses it."""

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
            raw = await self.fetch(topic, partition, start)
            following = start
            for first, last, following, compressed in batches(raw):
                if compressed or any(raw.find(needle, first, last) >= 0 for needle in needles):
                    found += [
                        one for one in parsed(topic, partition, raw[first:last], wanted) if start <= one.offset < end
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
