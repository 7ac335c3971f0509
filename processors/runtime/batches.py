"""Takes batches from a Faust stream and acknowledges records only when they are durable.

Batches come from the stream's queue, because none of Faust's own ways fits:

- ``take_events`` acknowledges its buffer in a ``finally``: a batch abandoned half-way, by a rebalance or a shutdown,
  would be committed without its outputs (https://github.com/robinhood/faust/issues/513).
- ``noack_take`` always waits for its whole timeout, and may deliver events of an earlier generation.

One batch of a partition is in progress at a time. It is acknowledged from its beginning, in one or several parts, and
the next batch of the same generation follows only after its last record was acknowledged. So within a generation the
records of a partition are acknowledged in offset order and without a hole, and one offset says how far.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.membership import Membership
from paynotify.processors.transport.streams import FetchedRecords, RecordStream
from paynotify.schemas.records import Record

#: How long a batch in progress may take to finish when its partition is revoked, such as to store a response.
_FINISH_SECONDS: Final = 20.0

#: Where a process has little CPU to spare, each small batch makes all others later. So from the first share of its CPU
#: on batches of few records wait for more: the longer the busier it is, and from the second share on so many times the
#: usual wait. A larger batch costs little for each record, and its wait would hold up a backlog.
_FEW_RECORDS: Final = 32
_BUSY_SHARE: Final = 0.5
_FULL_SHARE: Final = 0.8
_FULL_WAITS: Final = 5.0

#: So many records within about so long mean that more come soon and are worth waiting for; a lone one is not.
_MANY_RECORDS: Final = 8
_MANY_SECONDS: Final = 0.1


async def run(
    loop_of: Callable[[int], StageLoop],
    stream: RecordStream,
    membership: Membership,
    max_records: int,
    wait_seconds: float,
    cpu_share: Callable[[], float] = lambda: 0.0,
) -> None:
    """Process every batch of the stream's one partition, which is known with its first record.

    ``cpu_share`` says how busy the process is, 1 being wholly.
    """
    try:
        async for batch in _batches(stream, membership, max_records, wait_seconds, cpu_share):
            await _finish(loop_of(batch.records[0].partition), batch)
    finally:
        # as Faust's own iteration does at its end; a channel left behind breaks the next rebalance
        stream.channel.on_stop_iteration()


async def _finish(loop: StageLoop, batch: Batch) -> None:
    """Process a batch; if cancelled in the middle, let it finish first, within a limit.

    Otherwise a result page already taken from the bank's queue could be lost between the response and Kafka.
    """
    work = asyncio.ensure_future(loop.process_batch(batch))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        batch.revoked.set()
        if loop.stage.name != "requeue":  # a stage that only waits: there is nothing to finish
            await asyncio.wait([work], timeout=_FINISH_SECONDS)
        work.cancel()
        raise


async def _batches(
    stream: RecordStream,
    membership: Membership,
    max_records: int,
    wait_seconds: float,
    cpu_share: Callable[[], float],
) -> AsyncIterator[Batch]:
    queue = stream.channel.queue
    loop = asyncio.get_running_loop()  # its clock is simulated in simulations
    waiting = _Waiting()
    recent = _RecentRecords()
    while True:
        try:
            if not waiting.records:
                waiting.add(await queue.get())
            waits = gathering_waits(len(waiting.records), cpu_share(), are_many=recent.are_many(loop.time()))
            if waits and len(waiting.records) < max_records:
                await asyncio.sleep(waits * wait_seconds)  # the cost is per batch: some milliseconds gather records
            while len(waiting.records) < max_records and not queue.empty():
                waiting.add(queue.get_nowait())
        except StopAsyncIteration:
            return
        recent.add(len(waiting.records), loop.time())
        generation = membership.generation
        if generation == waiting.generation:
            yield _batch(waiting, max_records, membership)
        else:
            # what was fetched before a rebalance is fetched again; acknowledging it here would skip it
            waiting = _Waiting()


def gathering_waits(records: int, cpu_share: float, *, are_many: bool) -> float:
    """How many times the usual wait a batch of so many records waits for more.

    A lone record goes at once if the process has CPU to spare.
    """
    usual = 1.0 if are_many else 0.0
    if records >= _FEW_RECORDS:
        return usual
    because_busy = _FULL_WAITS * (cpu_share - _BUSY_SHARE) / (_FULL_SHARE - _BUSY_SHARE)
    return max(usual, min(because_busy, _FULL_WAITS))


@dataclass(slots=True)
class _RecentRecords:
    """How many records came lately; each counts less the older it is."""

    count: float = 0.0
    counted_at: float = 0.0

    def add(self, records: int, now_seconds: float) -> None:
        self.count = self._left(now_seconds) + records
        self.counted_at = now_seconds

    def are_many(self, now_seconds: float) -> bool:
        """A burst counts no more after a pause: the next lone record is not made to wait."""
        return self._left(now_seconds) >= _MANY_RECORDS

    def _left(self, now_seconds: float) -> float:
        return self.count * math.exp((self.counted_at - now_seconds) / _MANY_SECONDS)


@dataclass(slots=True)
class _Waiting:
    """Records of one generation that wait for the next batch, in offset order."""

    records: list[Record] = field(default_factory=list)
    generation: int = -1
    acknowledge: Callable[[int], None] = lambda _: None

    def add(self, fetched: FetchedRecords) -> None:
        """Those of an earlier generation go when a later one's come."""
        if fetched.generation != self.generation:
            self.records.clear()
        self.records.extend(fetched.records)
        self.generation, self.acknowledge = fetched.generation, fetched.acknowledge

    def take(self, count: int) -> list[Record]:
        taken, self.records = self.records[:count], self.records[count:]
        return taken


def _batch(waiting: _Waiting, max_records: int, membership: Membership) -> Batch:
    records, generation, acknowledge = waiting.take(max_records), waiting.generation, waiting.acknowledge
    unacknowledged = iter(records)

    def acknowledge_first(count: int) -> None:
        *_, last = islice(unacknowledged, count)
        acknowledge(last.offset + 1)

    return Batch(
        records,
        generation,
        acknowledge_first,
        lambda: membership.generation == generation and not membership.stopping,
    )
