"""Fetches a partition's record batches as the log stores them, without a consumer, and parses single batches.

It uses aiokafka's client below its consumer, which is undocumented: `processors.transport.private_names` lists what
must exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record import MemoryRecords
from kafka import TopicPartition

from paynotify.schemas.records import Record

_FETCH_BYTES: Final = 8 * 1024 * 1024
_WAIT_MILLISECONDS: Final = 100
_READ_UNCOMMITTED: Final = 0

#: Whether a record is wanted, by its key and value.
RecordFilter = Callable[[bytes | None, bytes | None], bool]


class BatchFetcher:
    """A connection for fetches, to be opened and closed in the event loop that uses it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = AIOKafkaClient(**settings)

    async def open(self) -> None:
        """Connect."""
        await self._client.bootstrap()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()

    async def fetch(self, topic: str, number: int, offset: int) -> bytes:
        """Raw batches starting with the one that contains the offset; empty while the partition has no leader.

        Raises:
            KafkaError: the brokers can't be reached, or refuse the request.
        """
        partition = TopicPartition(topic, number)
        node = self._client.cluster.leader_for_partition(partition)
        if node is None or node == -1:
            await self._client.add_topic(topic)
            node = self._client.cluster.leader_for_partition(partition)
        if node is None or node == -1:
            return b""
        request = FetchRequest(
            _WAIT_MILLISECONDS, 1, _FETCH_BYTES, _READ_UNCOMMITTED, [(topic, [(number, offset, _FETCH_BYTES)])]
        )
        response = await self._client.send(node, request)
        ((_, ((_, code, *_, raw),)),) = response.topics
        error: type[KafkaError] = for_code(code)
        if error is NotLeaderForPartitionError:
            await self._client.force_metadata_update()
            return b""
        if code:
            raise error
        return bytes(raw or b"")


def parsed(topic: str, number: int, raw: bytes, wanted: RecordFilter) -> Iterator[Record]:
    """The wanted records of raw batches, in offset order."""
    log = MemoryRecords(raw)
    while log.has_next():
        batch = log.next_batch()
        if batch.is_control_batch:
            continue
        for one in batch:
            if wanted(one.key, one.value):
                seconds = (one.timestamp or 0) / 1000
                yield Record(topic, number, one.offset, one.key, one.value, tuple(one.headers), seconds)
