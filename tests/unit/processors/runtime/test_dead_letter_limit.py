"""The limit on dead letters: a stage that fails on every record halts its partition, and loses or doubles nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.dead_letter_limit import DeadLetterWindow
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.partition_state import PartitionState
from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import FakeChangelog, RecordingPublisher, RecordingStore, counted, metrics, record

LIMIT: Final = DeadLetterLimit(consecutive_records=3, share=0.5, window_records=10)


class Counting:
    """Publishes each record's value and counts it in its state; raises on what is ``broken``."""

    name = "resolve"
    provider = "all"

    def __init__(self, reason: DeadReason = "internal_error") -> None:
        self.broken: Callable[[Record], bool] = lambda record: True
        self.reason = reason
        self.error: Exception = ZeroDivisionError()
        self.batches: list[list[int]] = []

    async def process(self, context: BatchContext) -> Sequence[Output]:
        self.batches.append([one.offset for one in context.records])
        outputs = []
        for one in context.records:
            count = int(context.state.get(one.key or b"") or b"0") + 1
            context.state.put(one.key or b"", b"%d" % count)
            if self.broken(one):
                raise self.error
            outputs.append(Output("result", one.key, one.value, ()))
        return outputs

    def dead_letter(self, record: Record) -> Output:
        return dead_lettered(record, "lookups.dead", self.reason)


class Bench:
    """One partition's loop and what became of its records."""

    def __init__(self, stage: Counting | None = None, failures: Sequence[Exception] = ()) -> None:
        self.stage = stage or Counting()
        self.publisher = RecordingPublisher(failures=failures)
        self.store = RecordingStore([])
        self.metrics: Metrics = metrics()
        self.acknowledged = 0
        self.started()

    def started(self) -> None:
        """A new process takes over: what was in memory is gone."""
        state = PartitionState(self.store, FakeChangelog(publisher=self.publisher))
        self.loop = StageLoop(self.stage, self.publisher, self.metrics, state=state, dead_letter_limit=LIMIT)

    def batch(self, records: Sequence[Record]) -> Batch:
        def acknowledge(count: int) -> None:
            self.acknowledged += count

        return Batch(records, 1, acknowledge, lambda: True)

    async def until_halted(self, records: Sequence[Record]) -> tuple[Batch, asyncio.Task[None]]:
        batch = self.batch(records)
        task = asyncio.ensure_future(self.loop.process_batch(batch))
        async with asyncio.timeout(5):
            while self.loop.halted is None:
                await asyncio.sleep(0)
        return batch, task

    async def until_halted_by(self, error: Exception, records: Sequence[Record]) -> tuple[Batch, asyncio.Task[None]]:
        self.stage.error = error
        return await self.until_halted(records)

    async def revoked(self, batch: Batch, task: asyncio.Task[None]) -> None:
        batch.revoked.set()
        async with asyncio.timeout(5):
            await task

    def published(self, topic: str) -> list[bytes | None]:
        return [output.value for output in self.publisher.outputs if output.topic == topic]

    def errors(self, kind: str) -> float:
        return counted(self.metrics.stage_errors, provider="all", stage="resolve", kind=kind)


def records(count: int, start: int = 0) -> list[Record]:
    return [record(b"v%d" % number, offset=number, key=b"k%d" % number) for number in range(start, start + count)]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A halted partition retries its head without a pause."""
    monkeypatch.setattr("paynotify.processors.runtime.loop._HALTED_RETRY_SECONDS", 0.0)


async def test_stage_that_always_raises_dead_letters_no_more_than_the_limit() -> None:
    bench = Bench()
    batch, task = await bench.until_halted(records(100))
    assert bench.published("lookups.dead") == [b"v0", b"v1", b"v2"]
    assert bench.acknowledged == 3, "the rest stays where it is"
    assert bench.loop.halted is not None
    assert "3 records in a row" in bench.loop.halted
    assert "ZeroDivisionError" in bench.loop.halted
    await bench.revoked(batch, task)
    assert bench.acknowledged == 3
    assert bench.errors("halted") == 1


async def test_halted_partition_retries_its_head_alone(at_once: None) -> None:
    bench = Bench()
    batch, task = await bench.until_halted(records(100))
    before = len(bench.stage.batches)
    async with asyncio.timeout(5):
        while len(bench.stage.batches) < before + 6:
            await asyncio.sleep(0)
    await bench.revoked(batch, task)
    assert {tuple(one) for one in bench.stage.batches[before:]} == {(3,)}
    assert bench.published("lookups.dead") == [b"v0", b"v1", b"v2"]


async def test_fixed_stage_goes_on_with_the_head_and_loses_nothing(at_once: None) -> None:
    bench = Bench()
    _, task = await bench.until_halted(records(10))
    bench.stage.broken = lambda record: False
    async with asyncio.timeout(5):
        await task
    assert bench.loop.halted is None
    assert bench.published("result") == [b"v%d" % number for number in range(3, 10)]
    assert bench.acknowledged == 10
    assert bench.store.values == {b"k%d" % number: b"1" for number in range(3, 10)}


async def test_fixed_stage_in_a_new_process_loses_and_doubles_nothing() -> None:
    bench = Bench()
    everything = records(10)
    await bench.revoked(*await bench.until_halted(everything))
    bench.started()
    bench.stage.broken = lambda record: False
    await bench.loop.process_batch(bench.batch(everything[bench.acknowledged :]))
    assert bench.published("lookups.dead") + bench.published("result") == [one.value for one in everything]
    assert bench.acknowledged == 10


async def test_records_before_the_failed_one_are_durable_when_the_partition_halts() -> None:
    bench = Bench()
    bench.stage.broken = lambda record: record.offset >= 4
    await bench.revoked(*await bench.until_halted(records(20)))
    assert bench.published("result") == [b"v0", b"v1", b"v2", b"v3"]
    assert bench.published("lookups.dead") == [b"v4", b"v5", b"v6"]
    assert bench.acknowledged == 7


async def test_single_failures_are_dead_lettered_without_a_halt() -> None:
    bench = Bench()
    bench.stage.broken = lambda record: record.offset % 3 == 0
    await bench.loop.process_batch(bench.batch(records(60)))
    assert bench.loop.halted is None
    assert len(bench.published("lookups.dead")) == 20
    assert bench.acknowledged == 60


async def test_large_share_of_failures_halts_even_if_they_are_not_in_a_row() -> None:
    bench = Bench()
    bench.stage.broken = lambda record: record.offset % 3 != 0
    batch, task = await bench.until_halted(records(60))
    assert bench.loop.halted is not None
    assert "5 of the last 10 records" in bench.loop.halted
    assert len(bench.published("lookups.dead")) == 5
    await bench.revoked(batch, task)


async def test_batch_that_is_repeated_counts_its_dead_letters_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paynotify.processors.runtime.loop._RETRY_SECONDS", 0.0)
    bench = Bench(failures=[OSError("down")] * 5)
    await bench.loop.process_batch(bench.batch(records(2)))
    assert bench.errors("retried") == 5
    assert bench.loop.halted is None
    assert bench.published("lookups.dead") == [b"v0", b"v1"]


@pytest.mark.parametrize("reason", ["not_found", "unreadable_answer"])
async def test_expected_reasons_do_not_count(reason: str) -> None:
    bench = Bench(Counting(cast(DeadReason, reason)))
    await bench.loop.process_batch(bench.batch(records(50)))
    assert bench.loop.halted is None
    assert bench.acknowledged == 50


async def test_records_that_cannot_be_parsed_do_not_count_or_halt() -> None:
    bench = Bench()
    bench.stage.error = UnreadableError("not a JSON object")
    await bench.loop.process_batch(bench.batch(records(50)))
    assert bench.loop.halted is None
    assert len(bench.published("lookups.dead")) == 50
    await bench.revoked(*await bench.until_halted_by(ZeroDivisionError(), records(10, start=50)))
    bench.stage.error = UnreadableError("not a JSON object")
    await bench.loop.process_batch(bench.batch(records(10, start=bench.acknowledged)))
    assert bench.loop.halted is None, "an unreadable record passes a halted partition"


async def test_halt_is_logged_once_with_its_place_and_the_replay(
    at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    batch, task = await bench.until_halted(records(10))
    before = len(bench.stage.batches)
    while len(bench.stage.batches) < before + 6:
        await asyncio.sleep(0)
    await bench.revoked(batch, task)
    (logged,) = [one for one in caplog.records if one.getMessage() == "partition_halted"]
    fields: dict[str, Any] = vars(logged)["fields"]
    assert (fields["stage"], fields["topic"], fields["partition"], fields["offset"]) == ("resolve.all", "source", 1, 3)
    assert fields["replay"] == "paynotify replay dead --reason internal_error --yes"


@given(
    failed=st.lists(st.booleans(), max_size=80),
    consecutive=st.integers(1, 6),
    share=st.sampled_from([0.1, 0.25, 0.5, 1.0]),
    window=st.integers(10, 30),
)
def test_window_never_allows_more_than_its_limits(
    failed: list[bool], consecutive: int, share: float, window: int
) -> None:
    """Whatever fails, in whatever order: the numbers are counted again here, over all records there were."""
    limit = DeadLetterLimit(consecutive_records=consecutive, share=share, window_records=window)
    one, processed = DeadLetterWindow(limit), list[bool]()
    letter = dead_lettered(record(), "lookups.dead", "internal_error")
    for fails in failed:
        row = next((number for number, last in enumerate(reversed(processed)) if not last), len(processed))
        full = row >= consecutive or sum(processed[-window:]) >= share * window
        assert (one.reached(ZeroDivisionError()) is not None) is full
        if not fails:
            one.succeeded()
        elif not full:
            one.dead_lettered(letter, ZeroDivisionError())
        else:
            continue  # it stays at the head, and only a success can follow
        processed.append(fails)
    assert all(sum(processed[at : at + window]) < share * window + 1 for at in range(len(processed)))
