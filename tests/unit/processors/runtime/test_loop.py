"""The loop's order of durability, and what happens when a step fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.partition_state import PartitionState
from paynotify.schemas.errors import (
    ClusterUnavailableError,
    ConfigurationError,
    PartitionRevokedError,
    StateUnavailableError,
)
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import (
    FakeChangelog,
    RecordingPublisher,
    RecordingStore,
    counted,
    metrics,
    record,
)

CLAIM = ["acquire", "caught up", "store"]
WRITE = ["verify ownership", "outputs", "changelog", "store", "acknowledge"]


class Echo:
    """Publishes each record's value and remembers it; ``b"bad"`` breaks it."""

    name = "echo"
    provider = "all"

    def __init__(self, told: list[str]) -> None:
        self._told = told
        self.failures: list[Exception] = []
        self.batches: list[int] = []
        self.at_work: Callable[[], object] = lambda: None
        self.tells = False

    async def process(self, context: BatchContext) -> Sequence[Output]:
        self._told.append("work")
        self.at_work()
        self.batches.append(len(context.records))
        outputs = []
        for one in context.records:
            count = int(context.state.get(one.key or b"") or b"0") + 1
            context.state.put(one.key or b"", str(count).encode())
            if self.failures:
                raise self.failures.pop(0)
            if one.value == b"bad":
                raise ZeroDivisionError("secret-4711")
            if self.tells:
                await context.state.persist()
                await context.state.publish_as_owner([Output("told", one.key, one.value, ())])
            outputs.append(Output("result", one.key, b"%d" % count, ()))
        return outputs

    def dead_letter(self, record: Record) -> Output:
        return Output("grave", record.key, record.value, ())


class Bench:
    """One loop with parts that tell the order in which they were used."""

    def __init__(self, failures: Sequence[Exception] = (), *, state: bool = True, deterministic: bool = False) -> None:
        self.told: list[str] = []
        self.steps: list[Failpoint] = []
        self.ours = True
        self.stage = Echo(self.told)
        self.store = RecordingStore(self.told)
        self.publisher = RecordingPublisher(self.told, failures)
        self.unfenced = RecordingPublisher(self.told)
        self.changelog = FakeChangelog(self.told, self.publisher if state else None)
        self.state = PartitionState(self.store, self.changelog, deterministic=deterministic)
        self.generation = 1
        self.acknowledged = 0
        self.metrics: Metrics = metrics()
        self.loop = StageLoop(
            self.stage,
            self.unfenced if state else self.publisher,
            self.metrics,
            state=self.state if state else None,
            reached=lambda unit, step: self.steps.append(step),
        )

    async def process_batch(self, *records: Record) -> None:
        await self.loop.process_batch(self.batch(*records))

    def batch(self, *records: Record) -> Batch:
        ours = self.generation
        return Batch(records, ours, self._acknowledge, lambda: self.ours and ours == self.generation)

    def _acknowledge(self, count: int) -> None:
        self.told.append("acknowledge")
        self.acknowledged += count

    def errors(self, kind: str) -> float:
        return counted(self.metrics.stage_errors, provider="all", stage="echo", kind=kind)

    def published(self, topic: str) -> list[bytes | None]:
        return [output.value for output in self.publisher.outputs if output.topic == topic]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's pauses, which take no time here."""
    made: list[float] = []
    turn = asyncio.sleep

    async def pause(seconds: float) -> None:
        made.append(seconds)
        await turn(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return made


def records(*values: bytes) -> list[Record]:
    return [record(value, offset=offset, key=b"k%d" % offset) for offset, value in enumerate(values)]


async def test_step_is_durable_before_the_next() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a", b"b"))
    assert bench.told == [*CLAIM, "work", *WRITE]
    assert bench.steps == [step for step in Failpoint if step <= Failpoint.SOURCE_ACKNOWLEDGED]
    assert bench.store.values == {b"k0": b"1", b"k1": b"1"}
    assert bench.store.next_offset == 2, "after the newest changelog record"
    assert bench.loop.progress.next_offset == 2
    assert bench.loop.progress.taken_at is None


async def test_outputs_of_a_stateful_stage_are_published_by_the_fenced_producer() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a"))
    assert bench.published("result") == [b"1"]
    assert bench.unfenced.outputs == []


async def test_early_outputs_of_a_stateful_stage_are_published_by_the_fenced_producer() -> None:
    """A machine that froze between the two would else say afterwards what its successor has gone beyond."""
    bench = Bench()
    bench.stage.tells = True
    await bench.process_batch(*records(b"a"))
    assert bench.told == [
        *CLAIM,
        "work",
        "changelog",
        "store",
        "verify ownership",
        "outputs",
        *WRITE[:2],
        "acknowledge",
    ]
    assert bench.published("told") == [b"a"]
    assert bench.unfenced.outputs == []


async def test_early_outputs_of_a_stateless_stage_are_refused() -> None:
    with pytest.raises(StateUnavailableError, match="no state"):
        await Overlay(None).publish_as_owner([])


async def test_changelog_has_one_record_for_each_key() -> None:
    bench = Bench()
    await bench.process_batch(*[record(b"a", offset=number, key=b"k") for number in range(5)])
    assert bench.changelog.written == [{b"k": b"5"}]


async def test_stateless_stage_writes_no_state() -> None:
    bench = Bench(state=False)
    await bench.process_batch(*records(b"a"))
    assert bench.told == ["work", "outputs", "acknowledge"]


async def test_failing_record_is_dead_lettered_and_the_others_are_processed() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a", b"bad", b"c"))
    assert bench.stage.batches == [3, 1, 1, 1]
    assert bench.published("result") == [b"1", b"1"]
    assert bench.published("grave") == [b"bad"]
    assert bench.store.values == {b"k0": b"1", b"k2": b"1"}, "nothing of the bad record, nothing twice"
    assert bench.told[-1] == "acknowledge"
    assert (bench.errors("unexpected"), bench.errors("dead_lettered")) == (1, 1)


async def test_individually_processed_records_see_the_state_of_the_ones_before() -> None:
    bench = Bench()
    batch = [record(value, offset=number, key=b"k") for number, value in enumerate((b"a", b"bad", b"c"))]
    await bench.process_batch(*batch)
    assert bench.published("result") == [b"1", b"2"]


async def test_log_of_a_dead_letter_names_its_place_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    await bench.process_batch(*records(b"bad"))
    (buried,) = [one for one in caplog.records if one.getMessage() == "record_dead_lettered"]
    fields: dict[str, Any] = vars(buried)["fields"]
    assert (fields["topic"], fields["partition"], fields["offset"]) == ("source", 1, 0)
    assert "secret-4711" not in repr(fields)


async def test_missing_secret_is_waited_for_and_counts_nothing_twice(pauses: list[float]) -> None:
    bench = Bench()
    bench.stage.failures = [ConfigurationError("the secret file can't be read"), ConfigurationError("still not")]
    await bench.process_batch(*records(b"a"))
    assert bench.published("result") == [b"1"]
    assert len(pauses) == 2
    assert bench.errors("configuration") == 2


async def test_unavailable_brokers_are_retried_and_dead_letter_nothing(pauses: list[float]) -> None:
    bench = Bench()
    bench.stage.failures = [ClusterUnavailableError("no broker answers")]
    await bench.process_batch(*records(b"a"))
    assert bench.published("result") == [b"1"]
    assert bench.errors("configuration") == 0
    assert bench.errors("retried") == 1


async def test_batch_of_a_revoked_partition_is_not_started() -> None:
    bench = Bench()
    bench.ours = False
    await bench.process_batch(*records(b"a"))
    assert bench.told == [], "it is not even begun"
    assert bench.errors("abandoned") == 1


async def test_partition_revoked_during_processing_is_not_written() -> None:
    bench = Bench()
    bench.stage.at_work = lambda: setattr(bench, "generation", 2)
    await bench.process_batch(*records(b"a"))
    assert bench.told == [*CLAIM, "work"]
    assert bench.store.values == {}
    assert bench.errors("abandoned") == 1


async def test_state_is_acquired_again_after_another_process_owned_it() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a"))
    await bench.process_batch(*records(b"b"))
    bench.generation = 2
    bench.changelog.others = {b"k0": b"7"}
    bench.changelog.lost = [PartitionRevokedError("held by another")]
    await bench.process_batch(*records(b"c"))
    assert [one for one in bench.told if one in ("acquire", "caught up")] == ["acquire", "caught up"] * 2
    assert bench.published("result") == [b"1", b"2", b"8"], "what another wrote meanwhile counts"


async def test_state_that_nobody_else_owned_is_verified_and_not_acquired_again() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a"))
    bench.generation = 2
    bench.told.clear()
    await bench.process_batch(*records(b"b"))
    assert bench.told == ["verify ownership now", "work", *WRITE], "the brokers are asked by a record of now"
    assert bench.published("result") == [b"1", b"2"]


async def test_ownership_of_a_deterministic_stage_is_verified_once_for_each_generation() -> None:
    bench = Bench(deterministic=True)
    await bench.process_batch(*records(b"a"))
    bench.told.clear()
    await bench.process_batch(*records(b"b"))
    assert bench.told == ["work", *WRITE[1:]]
    bench.generation = 2
    bench.told.clear()
    await bench.process_batch(*records(b"c"))
    assert bench.told == ["verify ownership now", "work", *WRITE[1:]]


async def test_old_ownership_is_acquired_again_before_it_is_used() -> None:
    bench = Bench()
    await bench.process_batch(*records(b"a"))
    bench.changelog.old = True
    await bench.process_batch(*records(b"b"))
    await bench.process_batch(*records(b"c"))
    assert bench.told.count("acquire") == 2
    assert bench.published("result") == [b"1", b"2", b"3"]


async def test_batch_after_an_unnoticed_loss_is_repeated_on_the_other_owners_state(pauses: list[float]) -> None:
    bench = Bench()
    bench.changelog.lost = [PartitionRevokedError("held by another")]
    bench.stage.at_work = lambda: bench.changelog.others.update({b"k0": b"7"})
    await bench.process_batch(*records(b"a"))
    assert bench.told.count("acquire") == 2
    assert bench.published("result") == [b"1", b"8"]
    assert bench.told[-len(WRITE) :] == WRITE
    assert bench.errors("revoked") == 1


async def test_batch_lost_during_a_revocation_is_left_to_the_next_owner(pauses: list[float]) -> None:
    bench = Bench()
    batch = bench.batch(*records(b"a"))
    bench.changelog.lost = [PartitionRevokedError("held by another")]
    bench.stage.at_work = batch.revoked.set
    await bench.loop.process_batch(batch)
    assert bench.told.count("acquire") == 1, "the next holder's state is not taken back"
    assert "acknowledge" not in bench.told
    assert bench.errors("abandoned") == 1


async def test_batch_in_progress_during_a_revocation_is_finished() -> None:
    bench = Bench()
    batch = bench.batch(*records(b"a"))
    bench.stage.at_work = batch.revoked.set
    await bench.loop.process_batch(batch)
    assert bench.told[-len(WRITE) :] == WRITE


async def test_failed_step_is_repeated_with_the_state_before_the_batch(pauses: list[float]) -> None:
    bench = Bench([OSError("down"), OSError("down")])
    await bench.process_batch(*records(b"a"))
    assert bench.told == [*([*CLAIM, "work", "verify ownership"] * 3), *WRITE[1:]]
    assert bench.published("result") == [b"1"]
    assert len(pauses) == 2
    assert bench.errors("retried") == 2


async def test_unreadable_state_dead_letters_no_record(pauses: list[float]) -> None:
    bench = Bench()
    bench.stage.failures = [StateUnavailableError("1 can't be read (IO error)")]
    await bench.process_batch(*records(b"a", b"b"))
    assert bench.published("grave") == []
    assert bench.published("result") == [b"1", b"1"]
    assert bench.errors("retried") == 1


async def test_batch_of_a_past_generation_does_not_take_over_the_ownership() -> None:
    now = [5]
    state = PartitionState(MemoryStore(), FakeChangelog(), lambda: now[0])
    await state.acquire(5)
    now[0] = 6
    await state.acquire(6)
    with pytest.raises(PartitionRevokedError):
        await state.acquire(5)
    assert state.owned(6), "or nobody would hold it until the next record comes"
