"""Takes batches from a Faust stream and acknowledges records only when they are durable.

Batches come from the stream's queue, because none of Faust's own ways fits:

- ``take_events`` acknowledges its buffer in a ``finally``: a batch abandoned half-way, by a rebalance or a shutdown,
  would be committed without its outputs (https://github.com/robinhood/faust/issues/513).
- ``noack_take`` always waits for its whole timeout, and may deliver events of an earlier generation.

One batch of a partition is in progress at a time. It is acknowledged from its beginning, in one or several parts, and
the next batch of the same generation follows only after its last record was acknowledged. So within a generation the
events of a partition are acknowledged in offset order and without a hole. Faust's commits depend on it: they pass over
an unacknowledged record at the head (https://github.com/faust-streaming/faust/issues/606).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Final

from processors.runtime.loop import Batch, StageLoop
from processors.runtime.membership import Membership
from processors.transport.streams import EventStream, StreamEvent, StreamMessage
from schemas.records import Record

#: How long a batch in progress may take to finish when its partition is revoked, such as to store a response.
_FINISH_SECONDS: Final = 20.0

#: A batch of at least this many records means that records come fast and are worth waiting for; a lone one is not.
_BUSY_RECORDS: Final = 8


async def run(
    loop_of: Callable[[int], StageLoop],
    stream: EventStream,
    membership: Membership,
    max_records: int,
    wait_seconds: float,
) -> None:
    """Process every batch of the stream's one partition, which is known with its first record."""
    try:
        async for batch in _batches(stream, membership, max_records, wait_seconds):
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
    stream: EventStream, membership: Membership, max_records: int, wait_seconds: float
) -> AsyncIterator[Batch]:
    queue = stream.channel.queue
    busy = False
    while True:
        try:
            first = await queue.get()
        except StopAsyncIteration:
            return
        if busy:
            await asyncio.sleep(wait_seconds)  # the cost is per batch: a few milliseconds gather many records
        events = [first]
        while len(events) < max_records and not queue.empty():
            events.append(queue.get_nowait())
        busy = len(events) >= _BUSY_RECORDS
        generation = membership.generation
        # what was fetched before a rebalance is fetched again; acknowledging it here would skip it
        present = [event for event in events if event.message.generation_id == generation]
        if present:
            yield _batch(present, membership, generation)


def _batch(events: list[StreamEvent], membership: Membership, generation: int) -> Batch:
    unacknowledged = iter(events)

    def acknowledge(count: int) -> None:
        for event in islice(unacknowledged, count):
            event.ack()

    return Batch(
        [_record(event.message) for event in events],
        generation,
        acknowledge,
        lambda: membership.generation == generation and not membership.stopping,
    )


def _record(message: StreamMessage) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple(message.headers or ()),
        message.timestamp,
    )
