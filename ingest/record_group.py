"""Records that are handed to the producer together, and what is awaited for each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

#: Called once on the event loop: whether the brokers have stored the record.
Told = Callable[[bool], None]

#: What kafka-python completes a batch with: its offset, its time, and an exception for each record by its number, or
#: None if they are stored.
BatchResult = tuple[int, int, Callable[[int], BaseException] | None]

#: Of one group. The brokers refuse a request of more than a mebibyte unless they are set otherwise.
_MOST_BYTES: Final = 512 * 1024
_MOST_RECORDS: Final = 8192


class PendingRecord:
    """One record that is not acknowledged yet. ``told`` is None once its request was refused for taking too long."""

    __slots__ = ("encoded", "group", "since_seconds", "told")

    def __init__(self, encoded: bytes, told: Told, since_seconds: float) -> None:
        self.encoded = encoded
        self.told: Told | None = told
        self.since_seconds = since_seconds
        self.group: RecordGroup | None = None

    def rebind(self, produce_future: Any, number: int) -> None:
        """Await another batch. kafka-python calls it in its thread when it splits one that the brokers find too long.

        The name is kafka-python's, as the record takes the place of its future.
        """
        produce_future.add_callback(self._finished_alone, number)

    def _finished_alone(self, number: int, result: BatchResult) -> None:
        assert self.group is not None
        error_of = result[2]
        self.group.report(self.group, [self], [error_of(number)] if error_of is not None else None)


class Report(Protocol):
    """Takes the outcome of a group's records, in the network thread; ``errors`` is None if they are stored."""

    def __call__(
        self, group: RecordGroup, records: list[PendingRecord], errors: list[BaseException] | None
    ) -> None: ...


class RecordGroup:
    """Records of one partition that become one batch. ``records`` has those whose requests were not told yet."""

    __slots__ = ("_unfinished", "partition", "records", "report")

    def __init__(self, partition: TargetPartition, records: list[PendingRecord], report: Report) -> None:
        self.partition = partition
        self.records = records
        self.report = report
        self._unfinished = len(records)
        for record in records:
            record.group = self

    def is_finished(self, records: list[PendingRecord]) -> bool:
        """Count down by these records; whether they are the last ones."""
        self._unfinished -= len(records)
        return not self._unfinished

    def finished(self, result: BatchResult) -> None:
        """The network thread calls it once, unless the batch was split."""
        error_of = result[2]
        numbers = range(len(self.records))
        self.report(self, self.records, [error_of(number) for number in numbers] if error_of is not None else None)


class TargetPartition:
    """One partition: the records gathered for its next group, oldest first, and how many groups are on their way.

    The event loop gathers without a lock; groups are made and counted under the publisher's.

    ``timed_out_records`` counts its records that were not acknowledged in time and still may be.
    """

    __slots__ = ("_gathered", "groups", "number", "timed_out_records", "topic")

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.groups = 0
        self.timed_out_records = 0
        self._gathered: deque[PendingRecord] = deque()

    @property
    def has_gathered(self) -> bool:
        return bool(self._gathered)

    def gather(self, record: PendingRecord) -> None:
        self._gathered.append(record)

    def taken(self) -> list[PendingRecord]:
        """The oldest records gathered, as many as belong into one batch."""
        taken: list[PendingRecord] = []
        size_bytes = 0
        gathered = self._gathered
        while gathered and len(taken) < _MOST_RECORDS:
            size_bytes += len(gathered[0].encoded)
            if taken and size_bytes > _MOST_BYTES:
                break
            taken.append(gathered.popleft())
        return taken

    def taken_until(self, since_seconds: float) -> list[PendingRecord]:
        """The records gathered up to then."""
        taken: list[PendingRecord] = []
        while self._gathered and self._gathered[0].since_seconds <= since_seconds:
            taken.append(self._gathered.popleft())
        return taken
