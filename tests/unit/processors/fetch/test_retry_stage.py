"""Waiting lookups come back when they are due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339
from tests.fakes.stages import KAFKA, NOW, empty, header, lookup_record


class Clock:
    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def due(*seconds: float) -> list[Record]:
    return [
        lookup_record(f"l{number}", not_before=rfc3339(NOW + timedelta(seconds=one)), attempts="2")
        for number, one in enumerate(seconds)
    ]


async def run(records: Sequence[Record]) -> tuple[Clock, list[list[str]]]:
    """The ids published together, group by group."""
    clock, groups = Clock(), []

    async def publish(outputs: Sequence[Output]) -> None:
        groups.append([header(one, "ce_id") for one in outputs])

    stage = RetryStage("nevogate", KAFKA, lambda: clock.now, clock.sleep)
    rest = await stage.process(BatchContext(records, empty(), publish))
    groups.append([header(one, "ce_id") for one in rest])
    return clock, [group for group in groups if group]


async def test_due_retry_is_published_at_once() -> None:
    clock, groups = await run(due(-5, 0))
    assert clock.slept == []
    assert groups == [["l0", "l1"]]


async def test_first_of_a_batch_does_not_wait_for_the_last() -> None:
    clock, groups = await run(due(0, 10, 10, 60))
    assert groups == [["l0"], ["l1", "l2"], ["l3"]]
    assert max(clock.slept) == 2, "in parts, so that waiting can be told from a stall"
    assert 60 <= sum(clock.slept) <= 66


async def test_retries_delayed_at_one_moment_return_at_different_ones() -> None:
    waits = set()
    for number in range(20):
        clock, _ = await run([lookup_record(f"x{number}", not_before=rfc3339(NOW + timedelta(seconds=100)))])
        waits.add(round(sum(clock.slept), 1))
    assert len(waits) > 10
    assert min(waits) >= 100
    assert max(waits) <= 110


async def test_lookup_comes_back_as_it_was() -> None:
    (record,) = due(0)
    stage = RetryStage("nevogate", KAFKA, lambda: NOW)
    (output,) = await stage.process(BatchContext([record], empty(), _no_publish))
    assert (output.topic, output.key, output.value) == ("lookups.nevogate", record.key, record.value)
    assert output.headers == record.headers


async def test_record_without_a_time_waits_for_nothing() -> None:
    clock, groups = await run([lookup_record("l0"), lookup_record("l1", not_before="tomorrow")])
    assert (clock.slept, groups) == ([], [["l0", "l1"]])


async def _no_publish(outputs: Sequence[Output]) -> None:
    assert not outputs
