"""A partition stands still when records lie there and nothing moves; waiting is no standstill."""

from __future__ import annotations

from processors.fetch.retry_stage import RetryStage
from processors.runtime.progress import Progress, current, report_progress
from processors.runtime.stage import BatchContext
from processors.runtime.stalls import StallDetector
from processors.state.overlay import Overlay
from tests.fakes.stages import KAFKA, NOW, record

PLACE = ("resolve", "observations", 0)


def test_time_counts_while_records_lie_there_and_nothing_is_committed() -> None:
    standstill = StallDetector()
    assert standstill.observe(PLACE, 5, 3, 0.0, 100.0) == 0
    assert standstill.observe(PLACE, 5, 9, 0.0, 130.0) == 30
    assert standstill.observe(PLACE, 6, 8, 0.0, 140.0) == 0, "something was committed"
    assert standstill.observe(PLACE, 6, 0, 0.0, 150.0) == 0, "nothing lies there"
    assert standstill.observe(PLACE, 6, 1, 0.0, 160.0) == 10


def test_any_other_sign_of_progress_counts_too() -> None:
    standstill = StallDetector()
    standstill.observe(PLACE, 5, 3, 0.0, 100.0)
    assert standstill.observe(PLACE, 5, 3, 190.0, 200.0) == 10


def test_an_outage_of_the_brokers_and_a_lost_partition_are_nobodys_standstill() -> None:
    standstill = StallDetector()
    standstill.observe(PLACE, 5, 3, 0.0, 100.0)
    standstill.reset()
    assert standstill.observe(PLACE, 5, 3, 0.0, 900.0) == 0
    standstill.retain_only([])
    assert standstill.observe(PLACE, 5, 3, 0.0, 1900.0) == 0


async def test_a_record_that_waits_for_its_time_shows_that_it_waits() -> None:
    progress, slept = Progress(), []
    current.set(progress)

    async def sleep(seconds: float) -> None:
        assert progress.progressed_at > 0
        progress.progressed_at = 0.0
        slept.append(seconds)

    stage = RetryStage("trustpayments", KAFKA, lambda: NOW, sleep)
    waiting = record(b"", {"not-before": "2026-06-01T12:01:10.000Z"})

    async def publish(outputs: object) -> None:
        return

    await stage.process(BatchContext([waiting], Overlay(None), publish))
    assert slept == [2.0] * 35
    report_progress()
    assert progress.progressed_at > 0


def test_outside_of_a_batch_there_is_nothing_to_tell() -> None:
    report_progress()
