"""Topics in memory, read as `TopicReader` reads those of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.processors.transport.batch_fetcher import RecordFilter
from paynotify.schemas.records import Record


class _Read:
    """A record as a client returns it."""

    def __init__(self, record: Record) -> None:
        self.topic, self.partition, self.offset = record.topic, record.partition, record.offset
        self.key, self.value, self.headers = record.key, record.value, record.headers
        self.timestamp = record.timestamp_seconds * 1000


class MemoryTopics(TopicReader):
    """Records by topic, all in one partition. A topic without records is there, and empty."""

    def __init__(self, records: Mapping[str, Sequence[Record]]) -> None:
        self._records = records

    def __enter__(self) -> MemoryTopics:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def partition_count(self, topic: str) -> int:
        return 1 if topic in self._records else 0

    def ranges(
        self,
        partitions: Iterable[TopicPartition],
        since_seconds: float | None = None,
        until_seconds: float | None = None,
    ) -> list[OffsetRange]:
        ends = {name: found[-1].offset + 1 if found else 0 for name, found in self._records.items()}
        return [OffsetRange(one, 0, ends.get(one.topic, 0)) for one in partitions]

    def read(self, ranges: Iterable[OffsetRange]) -> Iterator[tuple[TopicPartition, list[Any]]]:
        for one in ranges:
            found = [_Read(record) for record in self._within(one)]
            if found:
                yield one.partition, found

    def matching(self, ranges: Iterable[OffsetRange], needles: Collection[bytes], wanted: RecordFilter) -> list[Record]:
        return [record for one in ranges for record in self._within(one) if wanted(record.key, record.value)]

    def decrypted(self, record: Record) -> Record:
        return record

    def _within(self, wanted: OffsetRange) -> list[Record]:
        topic, partition = wanted.partition
        records = self._records.get(topic, ()) if partition == 0 else ()
        return [one for one in records if wanted.start <= one.offset < wanted.end]
