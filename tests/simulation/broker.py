"""The brokers: logs in memory, appended to and read with delays, failures and outages.

What a producer sends to one partition is appended in the order sent, or not at all from some record on. A batch may
fail before it is appended, half-way, or after. A batch on its way while brokers are out of reach arrives when they
are back, as with an idempotent producer that never gives up.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiokafka.errors import KafkaTimeoutError, RequestTimedOutError

from paynotify.processors.transport.batch_writer import all_done
from paynotify.schemas import topics
from paynotify.schemas.records import Output
from tests.simulation.history import History, Written
from tests.simulation.lot import Lot
from tests.simulation.timeline import Timeline

Place = tuple[str, int]
Headers = tuple[tuple[str, bytes], ...]

#: When the simulated day begins, in Unix time.
EPOCH_SECONDS: Final = 1_800_000_000.0

_FASTEST_SECONDS: Final = 0.0005

_RESPONSES: Final = topics.responses("")


class Stored(NamedTuple):
    """A record as it lies on a log. A tuple, as it is made faster than a frozen class, two hundred thousand times."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: float


def header(record: Stored, name: str) -> str:
    """The last header of that name; empty if there is none."""
    return next((value.decode() for key, value in reversed(record.headers) if key == name), "")


@dataclass(slots=True)
class Metadata:
    """Where a batch's last record lies, and when the brokers stored it."""

    offset: int
    timestamp: float


@dataclass(slots=True)
class ProducedBatch:
    """Records of one producer for one partition, on their way."""

    sender: Any
    records: list[Written]
    acknowledged: asyncio.Future[Metadata]
    #: Whose fence the records are written with, and its holder's epoch.
    hold: tuple[Place, int] | None = None
    error: Exception | None = None
    most: int | None = None
    """How many of the records arrive, if not all."""


@dataclass(slots=True)
class _Log:
    records: list[Stored] = field(default_factory=list)
    readers: list[Callable[[], None]] = field(default_factory=list)
    #: The newest epoch that has written here, by fence.
    epochs: dict[Place, int] = field(default_factory=dict)


@dataclass(slots=True)
class Trouble:
    """What is wrong with the brokers now: how slow they are, how much slower they store responses, and what share of
    batches fails."""

    slow_seconds: float = 0.0
    storing_seconds: float = 0.0
    failing: float = 0.0


class Broker:
    """All logs, by topic and partition."""

    def __init__(
        self, loop: Timeline, lot: Lot, history: History, partitions: Mapping[str, int], spread_seconds: float
    ) -> None:
        self.loop = loop
        self._spread_seconds = spread_seconds
        self.trouble = Trouble()
        self.fences = True
        self._lot = lot
        self._history = history
        self.disturb: Callable[[Place, ProducedBatch], None] = lambda place, batch: None
        self._partitions = partitions
        self._logs: dict[Place, _Log] = {
            (topic, number): _Log() for topic, count in partitions.items() for number in range(count)
        }
        self._down_until = 0.0
        self._arrivals: dict[tuple[Any, Place], float] = {}
        self._on_their_way: dict[Any, list[tuple[Place, ProducedBatch]]] = {}

    # --- reading -------------------------------------------------------------------------------------------

    def log(self, place: Place) -> Sequence[Stored]:
        """All records of a partition."""
        return self._logs[place].records

    def whole(self, topic: str) -> list[Stored]:
        """All records of a topic, partition after partition."""
        return [one for number in range(self._partitions[topic]) for one in self._logs[topic, number].records]

    def partitions(self, topic: str) -> int:
        return self._partitions[topic]

    def place(self, topic: str, key: bytes | None) -> Place:
        """Where records of the key go: the same partition in every topic of as many."""
        return topic, zlib.crc32(key or b"") % self._partitions[topic]

    def read_on(self, place: Place, wake: Callable[[], None]) -> None:
        """Call ``wake`` once, a moment after the next record has come."""
        self._logs[place].readers.append(wake)

    def reachable_in(self, client: Any) -> float:
        """In how many seconds the client reaches the brokers; 0.0 for now."""
        return max(0.0, self._down_until - self.loop.now, float(client.cut_until) - self.loop.now)

    def delay(self, topic: str, key: bytes | None) -> float:
        """How long a message about this takes now."""
        return _FASTEST_SECONDS + self._lot(topic, key) * (self._spread_seconds + self.trouble.slow_seconds)

    # --- outages -------------------------------------------------------------------------------------------

    def stop_for(self, seconds: float) -> None:
        self._down_until = max(self._down_until, self.loop.now + seconds)

    @property
    def up(self) -> bool:
        """Whether the brokers can be reached by those who are not cut off."""
        return self._down_until <= self.loop.now

    def died(self, sender: Any) -> None:
        """A producer is gone; what was on its way arrives up to some record, or not."""
        for _, batch in self._on_their_way.get(sender, ()):
            batch.most = self._some_of(batch, "died")

    # --- writing -------------------------------------------------------------------------------------------

    def append(self, place: Place, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Append at once and return the offset."""
        return self._append(place, [(key, value, headers)])

    def _append(self, place: Place, records: Sequence[Written]) -> int:
        """Append what came together; returns the last one's offset, -1 for nothing."""
        if not records:
            return -1
        log, timestamp = self._logs[place], EPOCH_SECONDS + self.loop.now
        for offset, (key, value, headers) in enumerate(records, len(log.records)):
            log.records.append(Stored(*place, offset, key, value, headers, timestamp))
        self._history.appended(place, timestamp, records)
        if log.readers:
            readers, log.readers = log.readers, []
            for wake in readers:
                self.loop.call_without_process(self.delay(place[0], records[0][0]), wake)
        return len(log.records) - 1

    def send(self, client: Any, place: Place, batch: ProducedBatch) -> None:
        """A batch leaves its producer. ``client`` is the process, for whether it reaches the brokers."""
        first = batch.records[0][0]
        if self.trouble.failing and self._lot("fails", first) < self.trouble.failing:
            whole = self._lot("fails where", first)
            batch.most = 0 if whole < 1 / 3 else None if whole < 2 / 3 else self._some_of(batch, "fails after")
            batch.error = KafkaTimeoutError() if self._lot("fails how", first) < 1 / 2 else RequestTimedOutError()
        self.disturb(place, batch)
        connection = (batch.sender, place)
        when = self.loop.now + self.reachable_in(client) + self.delay(place[0], first)
        if self.trouble.storing_seconds and place[0].startswith(_RESPONSES):
            when += self._lot("stored late", first) * self.trouble.storing_seconds
        when = self._arrivals[connection] = max(when, self._arrivals.get(connection, 0.0))
        self._on_their_way.setdefault(batch.sender, []).append((place, batch))
        self.loop.call_without_process(when - self.loop.now, self._arrive, client, place, batch)

    def _arrive(self, client: Any, place: Place, batch: ProducedBatch) -> None:
        out_of_reach_seconds = self.reachable_in(client)
        if out_of_reach_seconds > 0:
            if client.gone:
                return  # nobody is left to send it once more
            self.loop.call_without_process(
                out_of_reach_seconds + self.delay(place[0], b"again"), self._arrive, client, place, batch
            )
            return
        self._on_their_way[batch.sender].remove((place, batch))
        offset = -1
        if batch.hold is not None and self._fenced(self._logs[place], *batch.hold):
            batch.error = _RefusedError()
        else:
            offset = self._append(place, batch.records[: batch.most])
        stored = Metadata(offset, EPOCH_SECONDS + self.loop.now)
        self.loop.call_without_process(self.delay(place[0], b"answer"), _answer, batch, stored)

    def _some_of(self, batch: ProducedBatch, why: str) -> int:
        """The first so many of its records, or none, or all."""
        key = batch.records[0][0] if batch.records else None
        return int(self._lot(why, key) * (len(batch.records) + 1))

    def next_epoch(self, place: Place) -> int:
        """A new epoch for a changelog's fence, marked there: whoever has an older one can't write to it any more."""
        epochs = self._logs[place].epochs
        epochs[place] = epochs.get(place, 0) + 1
        self._history.happened("epoch", f"{place[0]}/{place[1]}={epochs[place]}")
        return epochs[place]

    def _fenced(self, log: _Log, fence: Place, epoch: int) -> bool:
        """Whether a newer holder has written here; remembers this one if not."""
        if epoch < log.epochs.get(fence, 0):
            if self.fences:
                self._history.happened("fenced", f"{fence[0]}/{fence[1]}={epoch}")
            return self.fences
        log.epochs[fence] = epoch
        return False


class _RefusedError(Exception):
    """The producer's epoch is not the newest."""


def _answer(batch: ProducedBatch, stored: Metadata) -> None:
    if batch.acknowledged.done():
        return
    if batch.error is not None:
        batch.acknowledged.set_exception(batch.error)
    else:
        batch.acknowledged.set_result(stored)


class Producer:
    """One process's client for its outputs, as a stage's publisher uses it."""

    def __init__(self, broker: Broker, client: Any) -> None:
        self.loop = broker.loop
        self._broker = broker
        self._client = client
        self._gathered: dict[Place, ProducedBatch] = {}

    async def write(self, outputs: Sequence[Output]) -> Sequence[float]:
        """Returns the times at which responses were stored: of the topics written here only those have the brokers'."""
        waiting = [self.hand_over(one.topic, one.key, one.value, one.partition, one.headers) for one in outputs]
        await all_done(waiting)
        stored = [one.result().timestamp for one in waiting]
        return [at for at, one in zip(stored, outputs, strict=True) if one.topic.startswith(_RESPONSES)]

    def hand_over(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers,
    ) -> asyncio.Future[Metadata]:
        """Take over a record; all that is handed over at one moment for one partition is one batch."""
        place = self._broker.place(topic, key) if partition is None else (topic, partition)
        if not self._gathered:
            self._broker.loop.call_without_process(0.0, self._flush)
        batch = self._gathered.get(place)
        if batch is None:
            batch = self._gathered[place] = ProducedBatch(self, [], self._broker.loop.create_future())
        batch.records.append((key, value, headers))
        return batch.acknowledged

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, {}
        if self._client.gone:
            return
        for place, batch in gathered.items():
            self._broker.send(self._client, place, batch)
