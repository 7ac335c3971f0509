"""Reading topics for the operator's tools: without a group, up to the end as it was, in bounded memory.

aiokafka's parser is compiled; kafka-python's costs three times the CPU per record (5 against 15 microseconds, measured
side by side), and reading is all these tools do. It runs in an event loop of its own, so that a tool stays a plain
program from top to bottom.
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
from kafka import TopicPartition
from kafka.admin import OffsetSpec

from ops.common.raw_scan import RawScan, Wanted
from schemas.configuration.model import Configuration
from schemas.errors import ClusterUnavailableError
from schemas.records import Record
from service.aiokafka_client import aiokafka_settings
from service.cluster import admin

_PARTITION_BYTES: Final = 2 * 1024 * 1024
_FETCH_BYTES: Final = 32 * 1024 * 1024
_RECORDS_AT_A_TIME: Final = 10_000
_POLL_MILLISECONDS: Final = 500
#: Nothing is waited for here, and a fetch that does holds up the next read.
_WAIT_MILLISECONDS: Final = 10
_SILENCE_SECONDS: Final = 30.0

T = TypeVar("T")


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Span:
    """The records of a partition from offset ``start`` up to, not including, ``end``; ``begin`` is the log's first."""

    place: Place
    start: int
    end: int
    begin: int = 0

    @property
    def length(self) -> int:
        """At most as many records; compaction leaves gaps."""
        return max(0, self.end - self.start)


def record_of(read: Any) -> Record:
    """A record as read, as the stages know it."""
    return Record(
        read.topic, read.partition, read.offset, read.key, read.value, tuple(read.headers), read.timestamp / 1000
    )


class TopicReader:
    """Reads partitions' spans, as a context manager.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._loop = uvloop.new_event_loop()
        self._consumer: Any = None
        self._admin: Any = None
        self._scan: RawScan | None = None
        self._undo = ExitStack()
        self._partitions: dict[str, int] = {}

    def __enter__(self) -> TopicReader:
        with ExitStack() as undo:
            undo.callback(self._loop.close)
            self._admin = undo.enter_context(admin(self._configuration))
            wanted = set(self._configuration.wanted_topics()) & set(self._admin.list_topics())
            for topic in self._admin.describe_topics(sorted(wanted)) if wanted else ():
                self._partitions[topic["name"]] = len(topic["partitions"])
            self._run(self._open())
            undo.callback(lambda: self._loop.run_until_complete(self._close()))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.__exit__(kind, error, at)

    def places(self, *topics: str) -> list[Place]:
        """Every partition of the topics (names on the cluster); none of a topic that is not there."""
        return [Place(topic, number) for topic in topics for number in range(self._partitions.get(topic, 0))]

    def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has; 0 if it is not there."""
        return self._partitions.get(topic, 0)

    def spans(
        self, places: Iterable[Place], since_seconds: float | None = None, until_seconds: float | None = None
    ) -> list[Span]:
        """What lies in the partitions now, as far as it was written between the two times (Unix, by its timestamp)."""
        wanted = [TopicPartition(*place) for place in places]
        if not wanted:
            return []
        # aiokafka asks for each topic's leaders one after the other, a tenth of a second each
        begins, ends = self._offsets(wanted, OffsetSpec.EARLIEST), self._offsets(wanted, OffsetSpec.LATEST)
        starts = begins if since_seconds is None else self._at(wanted, since_seconds, ends)
        stops = ends if until_seconds is None else self._at(wanted, until_seconds, ends)
        return [Span(Place(*one), max(starts[one], begins[one]), stops[one], begins[one]) for one in wanted]

    def read(self, spans: Iterable[Span]) -> Iterator[tuple[Place, list[Any]]]:
        """The spans' records, some thousand at a time, in order within each partition."""
        wanted = {TopicPartition(*span.place): span for span in spans if span.length}
        if not wanted:
            return
        self._run(self._seek(wanted))
        yield from self._read(wanted)

    def matching(self, spans: Iterable[Span], needles: Collection[bytes], wanted: Wanted) -> list[Record]:
        """The wanted records of the spans, each of which holds one of the needles; in order within each partition."""
        return self._run(self._matching([span for span in spans if span.length], needles, wanted))

    def backwards(self, span: Span, chunk_records: int) -> Iterator[Span]:
        """The span in chunks from its end towards its start, each twice as long as the one after it."""
        end = span.end
        while end > span.start:
            start = max(span.start, end - chunk_records)
            yield replace(span, start=start, end=end)
            end, chunk_records = start, chunk_records * 2

    # --- the event loop's side -----------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(work)
        except (KafkaError, TimeoutError) as error:
            servers = self._configuration.kafka.bootstrap_servers
            raise ClusterUnavailableError(
                f"The Kafka cluster at {servers} could not be read ({type(error).__name__}). "
                "Check that its brokers are well and that this user may read every topic."
            ) from None

    async def _open(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **aiokafka_settings(self._configuration.kafka, "paynotify-tools"),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_PARTITION_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_WAIT_MILLISECONDS,
        )
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise

    async def _matching(self, spans: list[Span], needles: Collection[bytes], wanted: Wanted) -> list[Record]:
        if self._scan is None and spans:
            self._scan = RawScan(aiokafka_settings(self._configuration.kafka, "paynotify-tools"))
            await self._scan.open()
        assert self._scan is not None or not spans
        return [
            record
            for span in spans
            for record in await self._scan.scan(*span.place, span.start, span.end, needles, wanted)  # type: ignore[union-attr]  # asserted above
        ]

    async def _close(self) -> None:
        if self._scan is not None:
            await self._scan.close()
        await self._consumer.stop()

    async def _seek(self, spans: Mapping[Any, Span]) -> None:
        self._consumer.assign(list(spans))
        for partition, span in spans.items():
            self._consumer.seek(partition, span.start)

    def _offsets(self, places: list[Any], moment: int) -> dict[Any, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(places, moment))
        return {place: found[place].offset for place in places}

    def _at(self, places: list[Any], moment_seconds: float, ends: Mapping[Any, int]) -> dict[Any, int]:
        """The first offset at or after the moment; the end where nothing is so new."""
        found = self._offsets(places, max(0, int(moment_seconds * 1000)))
        return {place: min(offset, ends[place]) if offset >= 0 else ends[place] for place, offset in found.items()}

    def _read(self, left: dict[Any, Span]) -> Iterator[tuple[Place, list[Any]]]:
        heard = time.monotonic()
        while left:
            before = len(left)
            found = self._run(self._next(left))
            if found or len(left) < before:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                raise ClusterUnavailableError(
                    f"The brokers sent nothing of {next(iter(left.values())).place.topic} for {_SILENCE_SECONDS:g} s. "
                    "Check that all partitions have a leader (kafka-topics.sh --describe) and try again."
                )
            yield from found

    async def _next(self, left: dict[Any, Span]) -> list[tuple[Place, list[Any]]]:
        """What comes next; spans that are read to their end are taken out of ``left``."""
        batches = await self._consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_RECORDS_AT_A_TIME)
        found: list[tuple[Place, list[Any]]] = []
        for partition, records in batches.items():
            span = left[partition]
            if records[-1].offset >= span.end - 1:
                self._finish(left, partition)
                records = [one for one in records if one.offset < span.end]
            if records:
                found.append((span.place, records))
        if not batches:
            # a span whose last offsets hold no record (compaction, transactions) ends without one
            for partition in [one for one, span in left.items() if await self._consumer.position(one) >= span.end]:
                self._finish(left, partition)
        return found

    def _finish(self, left: dict[Any, Span], partition: Any) -> None:
        del left[partition]
        self._consumer.pause(partition)
