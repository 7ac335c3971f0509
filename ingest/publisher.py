"""Publishes notifications to Kafka and tells when the brokers have stored them, without blocking the event loop.

Records leave in groups. Those of all requests that were read together leave together. While a partition waits for the
brokers, its next group gathers, and leaves when the acknowledgement arrives. Requests are told once for a burst of
acknowledgements.

Two threads are involved: the event loop's, and that of kafka-python's producer. Either of them may do the producer's
work (`ingest.network_client`), so an acknowledgement may arrive in either.

kafka-python blocks only while it waits for a topic's metadata. ``max_block_ms=0`` turns that wait into an error at once
(and still asks for the metadata), so the event loop never waits for a broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from kafka.errors import KafkaError, RetriableError

from paynotify.ingest.limits import Slots
from paynotify.ingest.notification import RecordHeaders
from paynotify.ingest.record_batch import encoded
from paynotify.ingest.record_group import PendingRecord, RecordGroup, TargetPartition, Told
from paynotify.service.logs import event
from paynotify.service.partitioner import partition_of

logger = logging.getLogger("paynotify.ingest")

#: How long records gather at most while another partition waits for the brokers. One request with the batches of all
#: partitions costs much less than one for each; brokers that are all well acknowledge sooner.
_GATHER_SECONDS: Final = 0.01
_TRANSIENT: Final = (RetriableError, ValueError)


class ProducerClient(Protocol):
    """Sends groups of records; `ingest.group_producer.GroupProducer` in the running process."""

    def append(self, group: RecordGroup) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class NotificationPublisher:
    """Publishes records and tells when the brokers have stored them. Until it is open it refuses every record.

    A partition with timed-out records accepts no new ones until those are acknowledged or refused: while a broker is
    unavailable its requests are refused at once instead of waiting for the timeout, and the slots stay free for other
    partitions.
    """

    def __init__(self, slots: Slots, timeout_seconds: float) -> None:
        self._producer: ProducerClient | None = None
        self._slots = slots
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        #: Held while groups are made. Both threads make them, and a partition waits for one group at a time.
        self._lock = threading.RLock()
        self._partitions: dict[str, list[TargetPartition]] = {}
        self._gathering: dict[TargetPartition, None] = {}
        self._groups: dict[RecordGroup, None] = {}
        self._groups_on_the_way = 0
        self._hand_over_soon: asyncio.Handle | None = None
        self._hand_over_later: asyncio.TimerHandle | None = None
        self._finished: deque[tuple[RecordGroup, list[PendingRecord], list[BaseException] | None]] = deque()
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
            previous.close()
        self._refused_since_seconds = None  # last: closing the previous producer refuses its records

    def refused_seconds(self) -> float:
        """For how long the producer has refused records permanently and stored none; 0 if it has not."""
        since = self._refused_since_seconds
        return self._loop.time() - since if since is not None else 0.0

    async def close(self) -> None:
        """Hand over what is gathered and close the producer. Waits a moment for the brokers."""
        if self._producer is not None:
            self._make_groups(also_busy=True)
            await asyncio.to_thread(self._producer.close)

    def set_partitions(self, partitions: Mapping[str, int]) -> None:
        """Set how many partitions each topic has; the number can only grow."""
        for topic, count in partitions.items():
            known = self._partitions.setdefault(topic, [])
            known.extend(TargetPartition(topic, number) for number in range(len(known), count))

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        """Take one record; ``told`` is called later with whether the brokers stored it in time.

        Its slot is released when it is acknowledged or refused. False if it is refused at once; then ``told`` is not
        called, and the caller still has the slot.
        """
        if self._producer is None:
            self._failed("no broker yet")
            return False
        partitions = self._partitions[topic]
        partition = partitions[partition_of(key, len(partitions))]
        if partition.timed_out_records:
            return False
        partition.gather(PendingRecord(encoded(key, value, headers), told, self._loop.time()))
        self._gathering[partition] = None
        self._hand_over_in_time()
        return True

    def _hand_over_in_time(self) -> None:
        """At the end of this turn of the event loop; a little later while the brokers have groups, whose
        acknowledgement takes along what has gathered."""
        if not self._groups_on_the_way:
            if self._hand_over_soon is None:
                self._hand_over_soon = self._loop.call_soon(self._hand_over)
        elif self._hand_over_later is None:
            self._hand_over_later = self._loop.call_later(_GATHER_SECONDS, self._hand_over)

    def _hand_over(self) -> None:
        self._hand_over_soon = None
        if self._hand_over_later is not None:
            self._hand_over_later.cancel()
            self._hand_over_later = None
        self._make_groups()

    def _make_groups(self, also_busy: bool = False) -> None:
        """Give the producer one group of each partition that waits for none. Runs in either thread.

        It sends one batch of a partition at a time, and what arrives meanwhile is better gathered than queued.
        """
        producer = self._producer
        assert producer is not None
        with self._lock:
            appended = False
            for partition in list(self._gathering):
                if partition.groups and not also_busy:
                    continue
                del self._gathering[partition]  # first: the event loop may gather at the same time
                while records := partition.taken():
                    appended |= self._append(producer, RecordGroup(partition, records, self._report))
                    if partition.has_gathered and not also_busy:
                        self._gathering[partition] = None
                        break
        if appended:
            producer.wake()

    def _append(self, producer: ProducerClient, group: RecordGroup) -> bool:
        self._groups[group] = None
        group.partition.groups += 1
        self._groups_on_the_way += 1
        try:
            producer.append(group)
        except (KafkaError, ValueError) as error:  # ValueError: the current metadata lacks the partition
            self._report(group, group.records, [error] * len(group.records))
            return False
        return True

    def stuck_seconds(self) -> float:
        """For how long a timed-out record has waited while no other was stored either; 0 if none has timed out."""
        oldest = next(iter(self._timed_out), None)
        return self._loop.time() - max(oldest.since_seconds, self._stored_at_seconds) if oldest else 0.0

    def expire(self) -> None:
        """Refuse the requests whose records were not stored in time. The event loop calls it several times a second."""
        limit_seconds = self._loop.time() - self._timeout_seconds
        with self._lock:
            unsent = [one for partition in self._gathering for one in partition.taken_until(limit_seconds)]
        for record in unsent:
            self._slots.release()
            self._expired(record)
        for group in list(self._groups):
            for record in group.records:  # oldest first
                if record.since_seconds > limit_seconds:
                    break
                if record.told is not None:
                    self._timed_out[record] = None
                    group.partition.timed_out_records += 1
                    self._expired(record)

    def _expired(self, record: PendingRecord) -> None:
        self._failed("not acknowledged in time")
        told, record.told = record.told, None
        if told is not None:
            _tell(told, False)

    def _report(self, group: RecordGroup, records: list[PendingRecord], errors: list[BaseException] | None) -> None:
        """Runs in either thread."""
        for error in errors or ():
            self._note_refusal(error)
        self._finished.append((group, records, errors))
        self._wake_up()
        if group.is_finished(records):
            with self._lock:
                group.partition.groups -= 1
                self._groups_on_the_way -= 1
            if errors is None and self._gathering:
                self._make_groups()

    def _wake_up(self) -> None:
        """Have the event loop settle what is finished. The flag is read after the append and cleared before the queue
        is read, so no report is left without a wake-up."""
        if not self._wake_up_pending:
            self._wake_up_pending = True
            if threading.get_ident() == self._loop_thread:
                self._loop.call_soon(self._settle)
                return
            with contextlib.suppress(RuntimeError):  # the loop has ended: no request waits any more
                self._loop.call_soon_threadsafe(self._settle)

    def _note_refusal(self, error: BaseException) -> None:
        """Transient errors don't count: unavailable brokers, a full buffer."""
        if self._refused_since_seconds is None and not isinstance(error, _TRANSIENT):
            self._refused_since_seconds = self._loop.time()

    def _settle(self) -> None:
        """Tell the requests, and hand over what has gathered although the brokers refused something."""
        self._wake_up_pending = False
        while self._finished:
            group, records, errors = self._finished.popleft()
            if errors is None:
                self._stored_at_seconds, self._refused_since_seconds = self._loop.time(), None
            elif self._gathering:
                self._make_groups()
            # its records know the group, and only the garbage collector would free the circle
            group.records = [] if records is group.records else [one for one in group.records if one not in records]
            if not group.records:
                self._groups.pop(group, None)
            self._tell(group.partition, records, errors)

    def _tell(
        self, partition: TargetPartition, records: list[PendingRecord], errors: list[BaseException] | None
    ) -> None:
        for number, record in enumerate(records):
            self._slots.release()
            if errors is not None:
                self._failed(type(errors[number]).__name__)
            if record.told is not None:
                _tell(record.told, errors is None)
            else:
                del self._timed_out[record]
                partition.timed_out_records -= 1

    def _failed(self, problem: str) -> None:
        self.failures[problem] = self.failures.get(problem, 0) + 1


def _tell(told: Told, stored: bool) -> None:
    try:
        told(stored)
    except Exception as error:  # noqa: BLE001 - the other requests of the group would get no response
        event(logger, "call_failed", level=logging.ERROR, error=repr(error))
