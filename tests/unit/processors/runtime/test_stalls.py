"""Stall detection: a partition has records and makes no progress; waiting for a time is progress."""

from __future__ import annotations

from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.runtime.progress import Progress, current, report_progress
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.runtime.stalls import StallDetector
from paynotify.processors.state.overlay import Overlay
from tests.fakes.stages import KAFKA, NOW, record

PLACE = ("resolve", "observations", 0)


def test_stall_time_counts_while_records_wait_and_nothing_is_committed() -> None:
    stalled = StallDetector()
    assert stalled.observe(PLACE, 5, 3, 0.0, 100.0) == 0
    assert stalled.observe(PLACE, 5, 9, 0.0, 130.0) == 30
    assert stalled.observe(PLACE, 6, 8, 0.0, 140.0) == 0, "something was committed"
    assert stalled.observe(PLACE, 6, 0, 0.0, 150.0) == 0, "nothing lies there"
    assert stalled.observe(PLACE, 6, 1, 0.0, 160.0) == 10


def test_stall_time_starts_over_with_any_other_sign_of_progress() -> None:
    stalled = StallDetector()
    stalled.observe(PLACE, 5, 3, 0.0, 100.0)
    assert stalled.observe(PLACE, 5, 3, 190.0, 200.0) == 10


def test_stall_time_does_not_count_outages_and_revoked_partitions() -> None:
    stalled = StallDetector()
    stalled.observe(PLACE, 5, 3, 0.0, 100.0)
    stalled.reset()
    assert stalled.observe(PLACE, 5, 3, 0.0, 900.0) == 0
    stalled.retain_only([])
    assert stalled.observe(PLACE, 5, 3, 0.0, 1900.0) == 0


async def test_retry_that_waits_for_its_time_reports_progress() -> None:
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


def test_progress_outside_of_a_batch_is_ignored() -> None:
    report_progress()
