"""Reads topics for the operator's tools: without a consumer group, up to a fixed end, in bounded memory.

aiokafka's record parser is compiled; kafka-python's costs three times the CPU per record (15 against 5 microseconds,
measured side by side), and these tools do little but read. The client runs in an event loop of its own, so that a tool
remains a plain synchronous program.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from kafka.admin import OffsetSpec

from paynotify.ops.common.raw_scan import RawScan
from paynotify.processors.transport import patches
from paynotify.processors.transport.batch_fetcher import RecordFilter
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError, MissingTopicsError, UnreadableError
from paynotify.schemas.records import Record
from paynotify.service.cluster import admin
from paynotify.service.kafka_client import client_settings
from paynotify.service.value_cipher import cipher_of

_PARTITION_BYTES: Final = 2 * 1024 * 1024
_FETCH_BYTES: Final = 32 * 1024 * 1024
_MAX_RECORDS: Final = 10_000
_POLL_MILLISECONDS: Final = 500
#: The records to read are already there; a fetch that waited for more would delay the next read.
_FETCH_WAIT_MILLISECONDS: Final = 10
_STALL_SECONDS: Final = 30.0

T = TypeVar("T")


class TopicPartition(NamedTuple):
    """One partition of a topic; equal to the clients' own tuples, but typed."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """A partition's records from offset ``start`` up to, not including, ``end``.

    ``log_start`` is the first offset that the partition still holds.
    """

    partition: TopicPartition
    start: int
    end: int
    log_start: int = 0

    @property
    def length(self) -> int:
        """The number of offsets, which is an upper bound of the number of records: compaction leaves gaps."""
        return max(0, self.end - self.start)


class TopicReader:
    """Reads ranges of the configuration's topics; a context manager. It asks for ``partition_bytes`` of each at a time.
    ``topic_ids`` are the brokers' ids of the topics: one that was deleted and made anew has another.

    Raises:
        ClusterUnavailableError: no broker is reachable, or the brokers refuse the request.
        SecretError: a key of ``encryption`` can't be read.
    """

    def __init__(self, configuration: Configuration, partition_bytes: int = _PARTITION_BYTES) -> None:
        self._configuration = configuration
        self._partition_bytes = partition_bytes
        self._cipher = cipher_of(configuration)
        self._loop = uvloop.new_event_loop()
        self._consumer: Any = None
        self._admin: Any = None
        self._scan: RawScan | None = None
        self._undo = ExitStack()
        self._partition_counts: dict[str, int] = {}
        self.topic_ids: dict[str, str] = {}

    def __enter__(self) -> TopicReader:
        with ExitStack() as undo:
            undo.callback(self._loop.close)
            patches.install()
            self._admin = undo.enter_context(admin(self._configuration))
            present = set(self._configuration.wanted_topics()) & set(self._admin.list_topics())
            for topic in self._admin.describe_topics(sorted(present)) if present else ():
                self._partition_counts[topic["name"]] = len(topic["partitions"])
                self.topic_ids[topic["name"]] = str(topic.get("topic_id", ""))
            self._run(self._open())
            undo.callback(lambda: self._loop.run_until_complete(self._close()))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.__exit__(kind, error, at)

    def partitions(self, *topics: str) -> list[TopicPartition]:
        """Every partition of the topics (names on the cluster); a missing topic has none."""
        return [TopicPartition(topic, number) for topic in topics for number in range(self.partition_count(topic))]

    def present(self, topic: str) -> list[TopicPartition]:
        """Every partition of the topic (name on the cluster).

        Raises:
            MissingTopicsError: it does not exist.
        """
        partitions = self.partitions(topic)
        if not partitions:
            raise MissingTopicsError(f"The topic {topic} does not exist. Create it with `paynotify topics apply`.")
        return partitions

    def partition_count(self, topic: str) -> int:
        """The topic's number of partitions; 0 for a missing topic."""
        return self._partition_counts.get(topic, 0)

    def ranges(
        self,
        partitions: Iterable[TopicPartition],
        since_seconds: float | None = None,
        until_seconds: float | None = None,
    ) -> list[OffsetRange]:
        """What the partitions hold now, limited to records with timestamps between the two times (Unix seconds)."""
        wanted = list(partitions)
        if not wanted:
            return []
        # asked through the admin client: aiokafka asks for the leaders of one topic after the other, 0.1 s each
        log_starts, log_ends = self._offsets(wanted, OffsetSpec.EARLIEST), self._offsets(wanted, OffsetSpec.LATEST)
        starts = log_starts if since_seconds is None else self._offsets_at(wanted, since_seconds, log_ends)
        ends = log_ends if until_seconds is None else self._offsets_at(wanted, until_seconds, log_ends)
        return [OffsetRange(one, max(starts[one], log_starts[one]), ends[one], log_starts[one]) for one in wanted]

    def read(self, ranges: Iterable[OffsetRange]) -> Iterator[tuple[TopicPartition, list[Any]]]:
        """The ranges' records in batches, in order within each partition; at most one range per partition."""
        remaining = {one.partition: one for one in ranges if one.length}
        if not remaining:
            return
        self._run(self._seek(remaining))
        yield from self._read(remaining)

    def matching(self, ranges: Iterable[OffsetRange], needles: Collection[bytes], wanted: RecordFilter) -> list[Record]:
        """The wanted records of the ranges, in order within each partition; each contains one of the needles.

        Encrypted values are searched as they are stored, and decrypted in what is returned.

        Raises:
            ConfigurationError: a value can't be decrypted.
        """
        found = self._run(self._matching([one for one in ranges if one.length], needles, wanted))
        return [self.decrypted(one) for one in found]

    def decrypted(self, record: Record) -> Record:
        """The record as it was before it was encrypted.

        Raises:
            ConfigurationError: its key is not configured, or it was encrypted for another record.
        """
        try:
            return self._cipher.record(record)
        except UnreadableError as error:
            raise ConfigurationError(f"A record can't be decrypted: {error}. Correct encryption.keys.") from None

    def backwards(self, whole: OffsetRange, chunk_records: int) -> Iterator[OffsetRange]:
        """The range in chunks from its end towards its start, each twice as long as the one before."""
        end = whole.end
        while end > whole.start:
            start = max(whole.start, end - chunk_records)
            yield replace(whole, start=start, end=end)
            end, chunk_records = start, chunk_records * 2

    # --- inside the event loop -----------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(work)
        except (KafkaError, TimeoutError) as error:
            servers = self._configuration.kafka.bootstrap_servers
            raise ClusterUnavailableError(
                f"The Kafka cluster at {servers} could not be read ({type(error).__name__}). "
                "Check that its brokers are healthy and that this user may read every topic."
            ) from None

    async def _open(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **client_settings(self._configuration.kafka, "paynotify-tools"),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=self._partition_bytes,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MILLISECONDS,
        )
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise

    async def _matching(
        self, ranges: list[OffsetRange], needles: Collection[bytes], wanted: RecordFilter
    ) -> list[Record]:
        if not ranges:
            return []
        if self._scan is None:
            self._scan = RawScan(client_settings(self._configuration.kafka, "paynotify-tools"))
            await self._scan.open()
        found: list[Record] = []
        for one in ranges:
            found += await self._scan.scan(*one.partition, one.start, one.end, needles, wanted)
        return found

    async def _close(self) -> None:
        if self._scan is not None:
            await self._scan.close()
        await self._consumer.stop()

    async def _seek(self, ranges: Mapping[TopicPartition, OffsetRange]) -> None:
        self._consumer.assign(list(ranges))
        for partition, one in ranges.items():
            self._consumer.seek(partition, one.start)

    def _offsets(self, partitions: list[TopicPartition], spec: int) -> dict[TopicPartition, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(partitions, spec))
        return {partition: found[partition].offset for partition in partitions}

    def _offsets_at(
        self, partitions: list[TopicPartition], time_seconds: float, log_ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """The first offset at or after the time; the log's end where no record is so recent."""
        found = self._offsets(partitions, max(0, int(time_seconds * 1000)))
        return {one: min(offset, log_ends[one]) if offset >= 0 else log_ends[one] for one, offset in found.items()}

    def _read(self, remaining: dict[TopicPartition, OffsetRange]) -> Iterator[tuple[TopicPartition, list[Any]]]:
        progress_at = time.monotonic()
        while remaining:
            before = len(remaining)
            batches = self._run(self._next(remaining))
            if batches or len(remaining) < before:
                progress_at = time.monotonic()
            elif time.monotonic() - progress_at > _STALL_SECONDS:
                raise ClusterUnavailableError(
                    f"The brokers returned no record of {next(iter(remaining)).topic} for {_STALL_SECONDS:g} s. "
                    "Check that all partitions have a leader (kafka-topics.sh --describe) and try again."
                )
            yield from batches

    async def _next(self, remaining: dict[TopicPartition, OffsetRange]) -> list[tuple[TopicPartition, list[Any]]]:
        """The next batches; removes the ranges that are read to their end from ``remaining``."""
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_MAX_RECORDS)
        batches: list[tuple[TopicPartition, list[Any]]] = []
        for partition, records in fetched.items():
            wanted = remaining[partition]
            if records[-1].offset >= wanted.end - 1:
                self._finish(remaining, partition)
                records = [one for one in records if one.offset < wanted.end]
            if records:
                batches.append((wanted.partition, records))
        if not fetched:
            # the last offsets of a range may hold no record (compaction, transactions): then only the position tells
            for partition in [one for one, at in remaining.items() if await self._consumer.position(one) >= at.end]:
                self._finish(remaining, partition)
        return batches

    def _finish(self, remaining: dict[TopicPartition, OffsetRange], partition: TopicPartition) -> None:
        del remaining[partition]
        self._consumer.pause(partition)
