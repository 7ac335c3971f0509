"""The doctor's runs on request: one at a time, with an end, and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from paynotify.ops.console.installation import doctor_runs
from paynotify.ops.console.installation.doctor_runs import KEPT_SECONDS, PAUSE_SECONDS, DoctorRun, DoctorRuns
from paynotify.ops.doctor.examination import ScopedFinding
from paynotify.ops.doctor.finding import Finding
from paynotify.sandbox.processes import wait_for

DEADLINE_SECONDS = 20.0
FINE = ScopedFinding(Finding("brokers", "ok", "3 at broker-1:9092"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Checks:
    """Makes findings, each one as it is let through."""

    def __init__(self, count: int = 1, error: Exception | None = None) -> None:
        self.runs = 0
        self.let_through = threading.Semaphore(0)
        self._count = count
        self._error = error

    def __call__(self) -> Iterator[ScopedFinding]:
        self.runs += 1
        for _ in range(self._count):
            assert self.let_through.acquire(timeout=DEADLINE_SECONDS)
            yield FINE
        assert self.let_through.acquire(timeout=DEADLINE_SECONDS)
        if self._error is not None:
            raise self._error


def ended(runs: DoctorRuns) -> DoctorRun:
    for thread in threading.enumerate():
        if thread.name == "doctor":
            thread.join(DEADLINE_SECONDS)
    newest = runs.newest()
    assert newest is not None
    assert newest.ended_at is not None
    return newest


def test_runs_are_one_at_a_time_and_wait_a_moment() -> None:
    clock, checks = Clock(), Checks()
    runs = DoctorRuns(checks, clock)
    assert runs.newest() is None
    assert runs.start("jo")
    assert not runs.start("anna")
    checks.let_through.release(2)
    run = ended(runs)
    assert (run.by, run.findings, checks.runs) == ("jo", (FINE,), 1)
    clock.now += PAUSE_SECONDS - 1
    assert not runs.start("anna")
    clock.now += 1
    assert runs.start("anna")
    checks.let_through.release(2)
    assert ended(runs).by == "anna"


def test_findings_are_read_while_the_run_goes_on() -> None:
    checks = Checks(count=2)
    runs = DoctorRuns(checks)
    runs.start("jo")
    checks.let_through.release()

    def first() -> DoctorRun | None:
        newest = runs.newest()
        return newest if newest is not None and newest.findings else None

    seen = wait_for(first, within_seconds=DEADLINE_SECONDS, every=0.01)
    assert seen is not None
    assert seen.ended_at is None
    checks.let_through.release(2)
    assert len(ended(runs).findings) == 2


def test_findings_are_kept_for_a_while() -> None:
    clock, checks = Clock(), Checks()
    runs = DoctorRuns(checks, clock)
    runs.start("jo")
    checks.let_through.release(2)
    ended(runs)
    clock.now += KEPT_SECONDS
    assert runs.newest() is not None
    clock.now += 1
    assert runs.newest() is None


def test_run_that_takes_too_long_is_ended() -> None:
    clock, checks = Clock(), Checks(count=doctor_runs.MAX_FINDINGS)
    runs = DoctorRuns(checks, clock)
    runs.start("jo")
    clock.now += doctor_runs.MAX_RUN_SECONDS + 1
    checks.let_through.release()
    found = ended(runs).findings
    assert [one.finding.verdict for one in found] == ["ok", "skipped"]
    clock.now += PAUSE_SECONDS
    runs.start("jo")
    checks.let_through.release(doctor_runs.MAX_FINDINGS)
    assert len(ended(runs).findings) == doctor_runs.MAX_FINDINGS + 1


def test_check_that_raises_ends_the_run_with_a_finding_and_no_text_of_it() -> None:
    checks = Checks(error=RuntimeError("password=hunter2"))
    runs = DoctorRuns(checks)
    runs.start("jo")
    checks.let_through.release(2)
    fine, last = ended(runs).findings
    assert fine == FINE
    assert (last.finding.verdict, last.finding.what) == ("error", "the run was ended by RuntimeError")
