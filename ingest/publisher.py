"""Publishes notifications to Kafka and reports when the brokers have stored them, without blocking the event loop.

Two threads are involved: the event loop hands records to kafka-python's producer, and the producer's own network
thread receives the brokers' acknowledgements. The loop is woken once for a burst of them, not once for each record.

``KafkaProducer.send`` blocks only while it waits for a topic's metadata. ``max_block_ms=0`` turns that wait
into an error at once (and still asks for the metadata), so a send on the event loop never waits for a broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError, RetriableError
from kafka.partitioner import murmur2

from ingest.limits import Slots
from ingest.notification import RecordHeaders
from schemas.configuration.ingest import IngestSettings
from schemas.configuration.kafka import KafkaSettings
from schemas.errors import ClusterUnavailableError
from service.kafka_client import client_settings, opened, unreachable

#: Long enough to batch what arrives together, short compared with a broker's response time.
_LINGER_MILLISECONDS: Final = 2
_BATCH_BYTES: Final = 512 * 1024
_RECORD_OVERHEAD_BYTES: Final = 64 * 1024
_MEBIBYTE: Final = 1024 * 1024
_RECONNECT_MILLISECONDS: Final = 1_000
_CLOSE_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0
_METADATA_POLL_SECONDS: Final = 0.02
_TRANSIENT: Final = (RetriableError, ValueError)
_NO_TIMEOUT_MILLISECONDS: Final = 2**31 - 1


class SentRecord(Protocol):
    """What a producer returns for a record. It calls back from any thread."""

    def add_callback(self, function: Any, *arguments: Any) -> Any: ...

    def add_errback(self, function: Any, *arguments: Any) -> Any: ...


class ProducerClient(Protocol):
    """The part of ``KafkaProducer`` used here."""

    def send(self, topic: str, value: bytes, key: bytes, headers: RecordHeaders, partition: int) -> SentRecord: ...

    def partitions_for(self, topic: str) -> set[int]: ...

    def close(self, timeout: float | None = None) -> None: ...


def connect(kafka: KafkaSettings, limits: IngestSettings, topics: Iterable[str]) -> ProducerClient:
    """An idempotent producer that waits for all in-sync replicas and has the topics' metadata. Blocks for some seconds.

    The producer never expires a record. kafka-python 3.0.12 forgets its producer id when a record that was
    sent once expires, and never requests a new one: an outage longer than ``delivery_timeout_ms`` would end all
    publishing. So `NotificationPublisher.expire` answers the requests, `Slots` bounds the memory, and a record whose
    request was refused meanwhile may still be stored later (at-least-once delivery).

    Raises:
        ClusterUnavailableError: no broker answered, or a topic's metadata could not be read.
    """
    settings = {
        **client_settings(kafka, "paynotify-ingest"),
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": _LINGER_MILLISECONDS,
        "batch_size": _BATCH_BYTES,
        "max_request_size": max(_MEBIBYTE, limits.max_body_bytes + _RECORD_OVERHEAD_BYTES),
        "max_block_ms": 0,
        "allow_auto_create_topics": False,
        "request_timeout_ms": round(limits.publish_timeout_seconds * 1000),
        "delivery_timeout_ms": _NO_TIMEOUT_MILLISECONDS,
        "reconnect_backoff_max_ms": _RECONNECT_MILLISECONDS,
        "bootstrap_timeout_ms": round(_START_SECONDS * 1000),
        "metrics_enabled": False,
    }
    try:
        producer: ProducerClient = opened(KafkaProducer, settings)
    except KafkaError as error:
        raise unreachable(kafka.bootstrap_servers, error) from None
    try:
        _await_metadata(producer, topics, kafka.bootstrap_servers)
    except BaseException:
        disconnect(producer)
        raise
    return producer


def _await_metadata(producer: ProducerClient, topics: Iterable[str], bootstrap_servers: str) -> None:
    """Wait until the producer knows the topics, so that the first request is not refused."""
    until = time.monotonic() + _START_SECONDS
    for topic in topics:
        while True:
            try:
                producer.partitions_for(topic)
                break
            except KafkaError as error:
                if time.monotonic() > until:
                    raise ClusterUnavailableError(
                        f"The topic {topic} could not be looked up at {bootstrap_servers} "
                        f"({type(error).__name__}). Check that the brokers run and this user may write to it."
                    ) from None
                time.sleep(_METADATA_POLL_SECONDS)


def disconnect(producer: ProducerClient) -> None:
    """Close a producer. Blocks for a moment. The requests of its unsent records were refused already."""
    with contextlib.suppress(KafkaError):
        producer.close(timeout=_CLOSE_SECONDS)


class PendingRecord:
    """One record that is sent and not yet acknowledged."""

    __slots__ = ("partition", "since_seconds", "stored")

    def __init__(self, stored: asyncio.Future[bool], partition: TargetPartition, since_seconds: float) -> None:
        self.stored = stored
        self.partition = partition
        self.since_seconds = since_seconds


class TargetPartition:
    """One partition. ``timed_out_records`` counts its records that were not acknowledged in time and still may be."""

    __slots__ = ("number", "timed_out_records")

    def __init__(self, number: int) -> None:
        self.number = number
        self.timed_out_records = 0


class NotificationPublisher:
    """Publishes records and reports when the brokers have stored them. Until it is open it refuses every record.

    A partition with timed-out records accepts no new ones until those are acknowledged or refused: while a broker is
    unavailable its requests are refused at once instead of waiting for the timeout, and the slots stay free for other
    partitions.
    """

    def __init__(self, slots: Slots, timeout_seconds: float) -> None:
        self._producer: ProducerClient | None = None
        self._slots = slots
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._partitions: dict[str, list[TargetPartition]] = {}
        self._waiting: dict[PendingRecord, None] = {}
        self._finished: deque[tuple[PendingRecord, str | None]] = deque()
        self._wake_up_pending = False
        self._timed_out: dict[PendingRecord, None] = {}
        self._stored_at_seconds = 0.0
        self._refused_since_seconds: float | None = None
        self.failures: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        return self._producer is not None

    def open(self, producer: ProducerClient, partitions: Mapping[str, int]) -> None:
        """Accept records from now on. Any thread may call it, once: the partitions are not read without a producer."""
        self.set_partitions(partitions)
        self._producer = producer

    def replace(self, producer: ProducerClient) -> None:
        """Switch to another producer and close the previous one. Blocks for a moment; any thread may call it.

        The previous producer's unsent records are refused, although some may be stored (at-least-once delivery).
        """
        previous, self._producer = self._producer, producer
        if previous is not None:
            disconnect(previous)
        self._refused_since_seconds = None  # last: closing the previous producer refuses its records

    def refused_seconds(self) -> float:
        """For how long the producer has refused records permanently and stored none; 0 if it has not."""
        since = self._refused_since_seconds
        return self._loop.time() - since if since is not None else 0.0

    def close(self) -> None:
        """Close the producer. Blocks for a moment."""
        if self._producer is not None:
            disconnect(self._producer)

    def set_partitions(self, partitions: Mapping[str, int]) -> None:
        """Set how many partitions each topic has; the number can only grow."""
        for topic, count in partitions.items():
            known = self._partitions.setdefault(topic, [])
            known.extend(TargetPartition(number) for number in range(len(known), count))

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders) -> asyncio.Future[bool] | None:
        """Send one record. Its slot is released when the record is acknowledged or refused.

        Returns a future of whether the brokers stored the record in time, or None if it was refused at once; then the
        caller still has the slot.
        """
        producer = self._producer
        if producer is None:
            self._failed("no broker yet")
            return None
        partitions = self._partitions[topic]
        partition = partitions[partition_of(key, len(partitions))]
        if partition.timed_out_records:
            return None
        try:
            sent = producer.send(topic, value, key, headers, partition.number)
        except (KafkaError, ValueError) as error:  # ValueError: the current metadata lacks the partition
            self._note_refusal(error)
            self._failed(type(error).__name__)
            return None
        stored: asyncio.Future[bool] = self._loop.create_future()
        pending = PendingRecord(stored, partition, self._loop.time())
        self._waiting[pending] = None
        sent.add_callback(self._acknowledged, pending)
        sent.add_errback(self._refused, pending)
        return stored

    def stuck_seconds(self) -> float:
        """For how long a timed-out record has waited while no other was stored either; 0 if none has timed out."""
        oldest = next(iter(self._timed_out), None)
        return self._loop.time() - max(oldest.since_seconds, self._stored_at_seconds) if oldest else 0.0

    def expire(self) -> None:
        """Refuse the requests whose records were not stored in time. The event loop calls it several times a second."""
        limit = self._loop.time() - self._timeout_seconds
        expired = []
        for pending in self._waiting:  # oldest first
            if pending.since_seconds > limit:
                break
            expired.append(pending)
        for pending in expired:
            del self._waiting[pending]
            self._timed_out[pending] = None
            pending.partition.timed_out_records += 1
            self._failed("not acknowledged in time")
            _set(pending.stored, False)

    def _acknowledged(self, pending: PendingRecord, _metadata: object) -> None:
        self._report(pending, None)

    def _refused(self, pending: PendingRecord, error: BaseException) -> None:
        self._note_refusal(error)
        self._report(pending, type(error).__name__)

    def _note_refusal(self, error: BaseException) -> None:
        """Runs in any thread. Transient errors don't count: unavailable brokers, a full buffer."""
        if self._refused_since_seconds is None and not isinstance(error, _TRANSIENT):
            self._refused_since_seconds = self._loop.time()

    def _report(self, pending: PendingRecord, problem: str | None) -> None:
        """Runs in the producer's thread. The flag is read after the append and cleared before the queue is read, so no
        report is left without a wake-up."""
        self._finished.append((pending, problem))
        if not self._wake_up_pending:
            self._wake_up_pending = True
            try:
                self._loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                return  # the loop has ended: no request waits any more

    def _settle(self) -> None:
        self._wake_up_pending = False
        finished = self._finished
        now_seconds = self._loop.time()
        while finished:
            pending, problem = finished.popleft()
            self._slots.release()
            if problem is None:
                self._stored_at_seconds, self._refused_since_seconds = now_seconds, None
            else:
                self._failed(problem)
            if pending in self._timed_out:
                del self._timed_out[pending]
                pending.partition.timed_out_records -= 1
            else:
                del self._waiting[pending]
                _set(pending.stored, problem is None)

    def _failed(self, problem: str) -> None:
        self.failures[problem] = self.failures.get(problem, 0) + 1


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Kafka's default partitioner chooses for a key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def _set(future: asyncio.Future[bool], stored: bool) -> None:
    if not future.done():  # a cancelled request has no reader
        future.set_result(stored)
