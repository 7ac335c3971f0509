"""Records of a partition are acknowledged in offset order and without a hole, whatever happens to their batches.

What is acknowledged is one offset: a record before it that was not processed would be lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import pytest

from paynotify.processors.runtime import batches
from paynotify.processors.runtime import loop as loop_module
from paynotify.processors.runtime.batches import gathering_waits
from paynotify.processors.runtime.loop import StageLoop
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.processors.transport.streams import FetchedRecords
from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import metrics

RECORDS: Final = 60
BATCH_RECORDS: Final = 7


@dataclass(slots=True)
class Partition:
    """A partition as Faust delivers it: after a rebalance again from the committed offset, in a new generation."""

    chance: random.Random
    generation: int = 0
    confirmed: bool = True
    stopping: bool = False
    ended: bool = False
    committed: int = 0
    firsts: dict[int, int] = field(default_factory=dict)
    acknowledged: dict[int, list[int]] = field(default_factory=dict)
    published: set[int] = field(default_factory=set)
    queue: asyncio.Queue[FetchedRecords] = field(default_factory=asyncio.Queue)

    def stream(self) -> Any:
        return SimpleNamespace(channel=SimpleNamespace(queue=self, on_stop_iteration=self.on_stop_iteration))

    def rebalance(self) -> None:
        self.generation += 1
        generation = self.generation
        self.firsts[generation], self.acknowledged[generation] = self.committed, []
        offset = self.committed
        while offset < RECORDS:
            fetched = range(offset, min(RECORDS, offset + self.chance.randint(1, BATCH_RECORDS * 2)))
            records = [Record("topic", 0, one, b"key", b"%d" % one, (), 0.0) for one in fetched]
            self.queue.put_nowait(FetchedRecords(records, generation, partial(self._acknowledge, generation)))
            offset = fetched.stop

    async def write(self, outputs: Sequence[Output]) -> Sequence[float]:
        await asyncio.sleep(0)
        self.published.update(int(one.value or b"") for one in outputs)
        return ()

    def _acknowledge(self, generation: int, next_offset: int) -> None:
        assert self.published.issuperset(range(next_offset)), f"{next_offset} would pass over a record"
        self.acknowledged[generation].append(next_offset)
        if generation == self.generation and self.chance.random() < 0.8:
            self.committed = next_offset
        if next_offset == RECORDS:
            self.ended = True

    async def get(self) -> FetchedRecords:
        if self.ended:
            raise StopAsyncIteration
        return await self.queue.get()

    def get_nowait(self) -> FetchedRecords:
        return self.queue.get_nowait()

    def empty(self) -> bool:
        return self.queue.empty()

    def on_stop_iteration(self) -> None:
        self.ended = True


class Unreliable:
    """A stage that fails in every way there is, and during whose work the group rebalances."""

    name = "unreliable"
    provider = "all"

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._chance = partition.chance
        self._failures = 0

    async def process(self, context: BatchContext) -> Sequence[Output]:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        chosen = self._chance.random()
        if chosen < 0.15:
            raise ClusterUnavailableError("no broker")
        if chosen < 0.3:
            self._failures = 6
        elif chosen < 0.4:
            self._partition.rebalance()
        if self._failures:
            self._failures -= 1
            raise ZeroDivisionError
        return [self.dead_letter(one) for one in context.records]

    def dead_letter(self, record: Record) -> Output:
        return Output("outputs", record.key, record.value, (("reason", b"internal_error"),))


@pytest.mark.parametrize("seed", range(25))
async def test_acknowledgements_are_in_order_and_without_a_hole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, result=None: turn(0, result))
    monkeypatch.setattr(loop_module, "_HALTED_RETRY_SECONDS", 0.0)
    partition = Partition(random.Random(seed))
    partition.rebalance()
    limit = DeadLetterLimit(consecutive_records=2)  # so that batches are acknowledged in parts too
    loop = StageLoop(Unreliable(partition), OutputPublisher(partition), metrics(), dead_letter_limit=limit)
    async with asyncio.timeout(30):
        await batches.run(lambda _: loop, partition.stream(), partition, BATCH_RECORDS, 0.01)
    for generation, offsets in partition.acknowledged.items():
        assert offsets == sorted(set(offsets)), f"generation {generation}"
        assert all(one > partition.firsts[generation] for one in offsets)
    assert partition.acknowledged[partition.generation][-1] == RECORDS


async def test_cancelled_stream_ends_its_batch_and_acknowledges_nothing_after_it() -> None:
    partition = Partition(random.Random(0))
    partition.rebalance()
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Unreliable):
        async def process(self, context: BatchContext) -> Sequence[Output]:
            begun.set()
            await go_on.wait()
            return [self.dead_letter(one) for one in context.records]

    loop = StageLoop(Slow(partition), OutputPublisher(partition), metrics())
    running = asyncio.ensure_future(batches.run(lambda _: loop, partition.stream(), partition, BATCH_RECORDS, 0.0))
    await begun.wait()
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert partition.acknowledged == {1: [BATCH_RECORDS]}
    assert partition.ended, "the channel is told, as Faust's own iteration does"


def test_batches_wait_longer_the_less_cpu_is_to_spare() -> None:
    waits = {share: gathering_waits(1, share, are_many=False) for share in (0.0, 0.5, 0.6, 0.7, 0.8, 1.5)}
    assert waits[0.0] == waits[0.5] == 0.0, "a lone record goes at once"
    assert 0.0 < waits[0.6] < waits[0.7] < waits[0.8]
    assert waits[0.8] == waits[1.5] == gathering_waits(1, 0.8, are_many=True) == 5.0, "there is a most"
    assert gathering_waits(1, 0.0, are_many=True) == 1.0
    assert [gathering_waits(32, 1.0, are_many=one) for one in (False, True)] == [0.0, 1.0], "many are worth no wait"
