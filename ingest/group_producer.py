"""kafka-python's idempotent producer, given groups of records instead of one record after the other.

``KafkaProducer.send`` costs several locks, a future and a dozen of passes over the headers for each record, in all
more than the ingress's other work. Its accumulator sends whole batches, so a group becomes such a batch here: one lock
and one future for all its records. Retries, sequence numbers, metadata, connections and the network thread stay
kafka-python's.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from kafka import KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError
from kafka.producer.producer_batch import ProducerBatch

from ingest import record_batch
from ingest.record_batch import EncodedRecords
from ingest.record_group import RecordGroup
from service.private_names import PrivateName

_PRODUCER: Final = "kafka.producer"

#: What `GroupProducer` does instead of ``send``.
PRIVATE_NAMES: Final = (
    *record_batch.PRIVATE_NAMES,
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


class GroupProducer:
    """Sends groups. No method but `close` waits for a broker, if the producer has ``max_block_ms=0``."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer

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
        """Have the network thread send what was appended. The thread itself looks again before it waits."""
        sender = self._producer._sender
        if threading.get_ident() != sender.ident:
            sender.wakeup()

    def partitions_for(self, topic: str) -> set[int]:
        """The topic's partitions.

        Raises:
            kafka.errors.KafkaError: they are not known.
        """
        found: set[int] = self._producer.partitions_for(topic)
        return found

    def close(self, timeout: float | None = None) -> None:
        self._producer.close(timeout=timeout)
