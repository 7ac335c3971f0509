"""kafka-python's idempotent producer, given groups of records instead of one record after the other.

``KafkaProducer.send`` costs several locks, a future and a dozen of passes over the headers for each record, in all
more than the ingress's other work. Its accumulator sends whole batches, so a group becomes such a batch here: one lock
and one future for all its records. Retries, sequence numbers, metadata and connections stay kafka-python's.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError, KafkaError
from kafka.producer.producer_batch import ProducerBatch

from paynotify.ingest import network_client, record_batch
from paynotify.ingest.network_client import LoopTurns, SharedNetworkClient, shared
from paynotify.ingest.record_batch import EncodedRecords
from paynotify.ingest.record_group import RecordGroup
from paynotify.ingest.selector import ProducerSelector
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.service.kafka_client import client_settings, opened, unreachable
from paynotify.service.private_names import PrivateName

_PRODUCER: Final = "kafka.producer"

#: What `GroupProducer` does instead of ``send``, and its records and its network client.
PRIVATE_NAMES: Final = (
    *record_batch.PRIVATE_NAMES,
    *network_client.PRIVATE_NAMES,
    PrivateName("kafka-python", f"{_PRODUCER}.kafka", "KafkaProducer.send", ("_accumulator", "_sender", "wakeup")),
    PrivateName(
        "kafka-python",
        f"{_PRODUCER}.record_accumulator",
        "RecordAccumulator.append",
        ("_appends_in_progress", "_tp_lock", "_batches", "_closed", "_incomplete", "increment", "decrement", "add"),
    ),
    PrivateName(
        "kafka-python",
        f"{_PRODUCER}.record_accumulator",
        "RecordAccumulator.split_and_reenqueue",
        ("_record_futures", "rebind"),
    ),
    PrivateName(
        "kafka-python", f"{_PRODUCER}.producer_batch", "ProducerBatch._complete_future", ("produce_future", "success")
    ),
)

#: Of a part of a batch that the brokers found too long.
_BATCH_BYTES: Final = 512 * 1024
_RECORD_OVERHEAD_BYTES: Final = 64 * 1024
_MEBIBYTE: Final = 1024 * 1024
_RECONNECT_MILLISECONDS: Final = 1_000
_CLOSE_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0
_METADATA_POLL_SECONDS: Final = 0.02
_NO_TIMEOUT_MILLISECONDS: Final = 2**31 - 1


class GroupProducer:
    """Sends groups. No method but `close` waits for a broker, if the producer has ``max_block_ms=0``."""

    def __init__(self, producer: KafkaProducer, turns: LoopTurns) -> None:
        self._producer = producer
        self._turns = turns

    def append(self, group: RecordGroup) -> None:
        """Make the group the partition's next batch; it is sent after `wake`. The group reports its outcome.

        Raises:
            kafka.errors.KafkaError: the producer is closed, or the topic's metadata is missing; it is asked for.
            ValueError: the current metadata lacks the partition.
        """
        partition = group.partition
        if partition.number not in self.partitions_for(partition.topic):
            raise ValueError(f"Partition {partition.number} of {partition.topic} is not known.")
        place = TopicPartition(partition.topic, partition.number)
        batch = ProducerBatch(place, EncodedRecords([one.encoded for one in group.records], round(time.time() * 1000)))
        batch._record_futures = list(group.records)  # what a batch that is split rebinds
        batch.produce_future.add_callback(group.finished)
        accumulator = self._producer._accumulator
        accumulator._appends_in_progress.increment()  # closing by force waits for it, and then aborts this batch too
        try:
            with accumulator._tp_lock(place):
                if accumulator._closed:
                    raise IllegalStateError("The producer is closed.")
                accumulator._batches[place].append(batch)
                accumulator._incomplete.add(batch)
        finally:
            accumulator._appends_in_progress.decrement()

    def wake(self) -> None:
        """Have what was appended sent, at once if the event loop does the producer's work. Its thread, if that appended
        something, looks again before it waits."""
        sender = self._producer._sender
        if self._turns.may_have_one:
            self._turns.turn()
        elif threading.get_ident() != sender.ident:
            sender.wakeup()

    def partitions_for(self, topic: str) -> set[int]:
        """The topic's partitions.

        Raises:
            kafka.errors.KafkaError: they are not known.
        """
        found: set[int] = self._producer.partitions_for(topic)
        return found

    def close(self) -> None:
        """Blocks for a moment. The requests of unsent records were refused already."""
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_SECONDS)


def connect(
    kafka: KafkaSettings, limits: IngestSettings, topics: Iterable[str], loop: asyncio.AbstractEventLoop
) -> GroupProducer:
    """An idempotent producer that waits for all in-sync replicas and has the topics' metadata. Blocks for some seconds.

    ``loop`` does its work while nothing in it can block.

    The producer never expires a record. kafka-python 3.0.12 forgets its producer id when a record that was
    sent once expires, and never requests a new one: an outage longer than ``delivery_timeout_ms`` would end all
    publishing. So `ingest.publisher.NotificationPublisher.expire` answers the requests, `ingest.limits.Slots` bounds
    the memory, and a record whose request was refused meanwhile may still be stored later (at-least-once delivery).

    Raises:
        ClusterUnavailableError: no broker answered, or a topic's metadata could not be read.
    """
    settings = {
        **client_settings(kafka, "paynotify-ingest"),
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": 0,  # the records of a group have gathered already
        "batch_size": _BATCH_BYTES,
        "max_request_size": max(_MEBIBYTE, limits.max_body_bytes + _RECORD_OVERHEAD_BYTES),
        "max_block_ms": 0,
        "allow_auto_create_topics": False,
        "request_timeout_ms": round(limits.publish_timeout_seconds * 1000),
        "delivery_timeout_ms": _NO_TIMEOUT_MILLISECONDS,
        "reconnect_backoff_max_ms": _RECONNECT_MILLISECONDS,
        "bootstrap_timeout_ms": round(_START_SECONDS * 1000),
        "metrics_enabled": False,
        "selector": ProducerSelector,
    }
    try:
        client = opened(KafkaProducer, settings, SharedNetworkClient)
        producer = GroupProducer(client, shared(client, loop))
    except KafkaError as error:
        raise unreachable(kafka.bootstrap_servers, error) from None
    try:
        _await_metadata(producer, topics, kafka.bootstrap_servers)
    except BaseException:
        producer.close()
        raise
    return producer


def _await_metadata(producer: GroupProducer, topics: Iterable[str], bootstrap_servers: str) -> None:
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
