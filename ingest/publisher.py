"""Records into Kafka and the brokers' answers back, without ever blocking the event loop.

Two threads work here: the event loop hands records to kafka-python's producer, and the producer's own network
thread learns the brokers' answers. The loop is woken once per burst of answers, not once per record.

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
from schemas.configuration.model import IngestSettings, KafkaSettings
from schemas.errors import ClusterUnavailableError
from service.kafka_client import client_settings, opened, unreachable

#: Long enough to gather what arrives together, short beside a broker's own answer time.
_LINGER_MILLISECONDS: Final = 2
_BATCH_BYTES: Final = 512 * 1024
_RECORD_OVERHEAD_BYTES: Final = 64 * 1024
_MEBIBYTE: Final = 1024 * 1024
_RECONNECT_MILLISECONDS: Final = 1_000
_CLOSE_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0
_ASK_AGAIN_SECONDS: Final = 0.02
_PASSING: Final = (RetriableError, ValueError)
_NEVER_MILLISECONDS: Final = 2**31 - 1


class SentRecord(Protocol):
    """What a producer returns for a record: something that calls back, from any thread."""

    def add_callback(self, function: Any, *arguments: Any) -> Any: ...

    def add_errback(self, function: Any, *arguments: Any) -> Any: ...


class ProducerClient(Protocol):
    """The part of ``KafkaProducer`` used here."""

    def send(self, topic: str, value: bytes, key: bytes, headers: RecordHeaders, partition: int) -> SentRecord: ...

    def partitions_for(self, topic: str) -> set[int]: ...

    def close(self, timeout: float | None = None) -> None: ...


def connect(kafka: KafkaSettings, limits: IngestSettings, topics: Iterable[str]) -> ProducerClient:
    """An idempotent producer that waits for all in-sync replicas (G1), and knows the topics. Blocks for some seconds.

    The producer itself never gives a record up. kafka-python 3.0.12 forgets its producer id when a record that was
    sent once expires, and then asks for no new one: an outage longer than ``delivery_timeout_ms`` would end all
    publishing for good. So requests are answered by `Publisher.expire`, memory stays bounded by `Slots`, and
    what was refused meanwhile may still be stored later (at least once, G5).

    Raises:
        ClusterUnavailableError: no broker answered, or a topic could not be looked up.
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
        "delivery_timeout_ms": _NEVER_MILLISECONDS,
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
    """Wait until the producer knows the topics, so that the first request need not be refused."""
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
                time.sleep(_ASK_AGAIN_SECONDS)


def disconnect(producer: ProducerClient) -> None:
    """End a producer. Blocks for a moment; what it still holds was refused to its sender and is given up."""
    with contextlib.suppress(KafkaError):
        producer.close(timeout=_CLOSE_SECONDS)


class Pending:
    """One record on its way."""

    __slots__ = ("answer", "lane", "since_seconds")

    def __init__(self, answer: asyncio.Future[bool], lane: Lane, since_seconds: float) -> None:
        self.answer = answer
        self.lane = lane
        self.since_seconds = since_seconds


class Lane:
    """One partition. ``late_records`` counts records in it whose time is over but whose fate is open."""

    __slots__ = ("late_records", "partition")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.late_records = 0


class NotificationPublisher:
    """Publishes records and tells when the brokers have them. Until it is open every record is refused.

    A partition with late records takes no new ones until their fate is known: while a broker is away its
    requests are refused at once instead of each waiting its full time, and other partitions keep the room.
    """

    def __init__(self, slots: Slots, timeout_seconds: float) -> None:
        self._producer: ProducerClient | None = None
        self._slots = slots
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, list[Lane]] = {}
        self._waiting: dict[Pending, None] = {}
        self._finished: deque[tuple[Pending, str | None]] = deque()
        self._woken = False
        self._late: dict[Pending, None] = {}
        self._stored_at_seconds = 0.0
        self._refused_since_seconds: float | None = None
        self.failures: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        return self._producer is not None

    def open(self, producer: ProducerClient, partitions: Mapping[str, int]) -> None:
        """Publish from now on. Any thread may call it, once: the partitions are not looked at without a producer."""
        self.set_partitions(partitions)
        self._producer = producer

    def replace(self, producer: ProducerClient) -> None:
        """Publish by another producer from now on, and end the one before. Blocks for a moment; any thread may call it.

        What the one before still holds is refused; it may have been stored (at least once, G5).
        """
        before, self._producer = self._producer, producer
        if before is not None:
            disconnect(before)
        self._refused_since_seconds = None  # last: ending the one before refuses what it held

    def refused_seconds(self) -> float:
        """For how long the producer has refused records for good, and stored none; 0 where it has not."""
        since = self._refused_since_seconds
        return self._loop.time() - since if since is not None else 0.0

    def close(self) -> None:
        """End the producer. Blocks for a moment."""
        if self._producer is not None:
            disconnect(self._producer)

    def set_partitions(self, partitions: Mapping[str, int]) -> None:
        """How many partitions each topic has now; they can only become more."""
        for topic, count in partitions.items():
            lanes = self._lanes.setdefault(topic, [])
            lanes.extend(Lane(partition) for partition in range(len(lanes), count))

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders) -> asyncio.Future[bool] | None:
        """Hand over one record; its slot is given back when its fate is known.

        Returns a future that tells whether the brokers have the record in time, or none where it was refused
        at once. Then the slot stays with the caller.
        """
        producer = self._producer
        if producer is None:
            self._failed("no broker yet")
            return None
        lanes = self._lanes[topic]
        lane = lanes[partition_of(key, len(lanes))]
        if lane.late_records:
            return None
        try:
            sent = producer.send(topic, value, key, headers, lane.partition)
        except (
            KafkaError,
            ValueError,
        ) as error:  # ValueError: a partition the metadata doesn't know at present
            self._note_refusal(error)
            self._failed(type(error).__name__)
            return None
        answer: asyncio.Future[bool] = self._loop.create_future()
        pending = Pending(answer, lane, self._loop.time())
        self._waiting[pending] = None
        sent.add_callback(self._acknowledged, pending)
        sent.add_errback(self._refused, pending)
        return answer

    def stuck_seconds(self) -> float:
        """For how long a record has waited while no other was stored either; 0 where none waits too long."""
        oldest = next(iter(self._late), None)
        return self._loop.time() - max(oldest.since_seconds, self._stored_at_seconds) if oldest else 0.0

    def expire(self) -> None:
        """Answer the requests whose time is over. Called by the event loop several times a second."""
        limit = self._loop.time() - self._timeout_seconds
        expired = []
        for pending in self._waiting:  # oldest first
            if pending.since_seconds > limit:
                break
            expired.append(pending)
        for pending in expired:
            del self._waiting[pending]
            self._late[pending] = None
            pending.lane.late_records += 1
            self._failed("no answer in time")
            _set(pending.answer, False)

    def _acknowledged(self, pending: Pending, _metadata: object) -> None:
        self._report(pending, None)

    def _refused(self, pending: Pending, error: BaseException) -> None:
        self._note_refusal(error)
        self._report(pending, type(error).__name__)

    def _note_refusal(self, error: BaseException) -> None:
        """Runs in any thread. What passes by itself is none: brokers that are away, a buffer that is full."""
        if self._refused_since_seconds is None and not isinstance(error, _PASSING):
            self._refused_since_seconds = self._loop.time()

    def _report(self, pending: Pending, problem: str | None) -> None:
        """Runs in the producer's thread. The flag is read after the append and cleared before the reading, so
        no answer is left behind without a wake-up."""
        self._finished.append((pending, problem))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                return  # the loop has ended: nobody waits any more

    def _settle(self) -> None:
        self._woken = False
        finished = self._finished
        now_seconds = self._loop.time()
        while finished:
            pending, problem = finished.popleft()
            self._slots.give_back()
            if problem is None:
                self._stored_at_seconds, self._refused_since_seconds = now_seconds, None
            else:
                self._failed(problem)
            if pending in self._late:
                del self._late[pending]
                pending.lane.late_records -= 1
            else:
                del self._waiting[pending]
                _set(pending.answer, problem is None)

    def _failed(self, problem: str) -> None:
        self.failures[problem] = self.failures.get(problem, 0) + 1


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Kafka's default partitioner chooses for a key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def _set(answer: asyncio.Future[bool], stored: bool) -> None:
    if not answer.done():  # a cancelled request has no reader
        answer.set_result(stored)
