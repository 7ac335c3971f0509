"""Runs the doctor's checks on request: one run at a time, in a thread of its own, with an end.

A run asks brokers and providers and may take minutes, so its findings are read while it goes on, and are kept for a
while: whoever asks next sees them with their age instead of asking the providers again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from paynotify.ops.doctor.examination import ScopedFinding
from paynotify.ops.doctor.finding import Finding
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: A run that takes longer is ended after the check that is under way; each has a time limit of its own.
MAX_RUN_SECONDS: Final = 300.0
MAX_FINDINGS: Final = 1000
#: How long a run's findings are shown.
KEPT_SECONDS: Final = 900.0
#: How soon after a run the next one may begin: each one calls the providers.
PAUSE_SECONDS: Final = 30.0

_REST: Final = "Run `paynotify doctor` for the rest."


@dataclass(frozen=True, slots=True)
class DoctorRun:
    """A run with its findings so far, in Unix seconds; ``ended_at`` is None while it goes on."""

    by: str
    began_at: float
    ended_at: float | None = None
    findings: tuple[ScopedFinding, ...] = ()


class DoctorRuns:
    """Any thread may read `newest`. ``examine`` makes the findings, one after the other."""

    def __init__(self, examine: Callable[[], Iterator[ScopedFinding]], now: Callable[[], float] = time.time) -> None:
        self._examine = examine
        self._now = now
        self._lock = threading.Lock()
        self._newest: DoctorRun | None = None

    def newest(self) -> DoctorRun | None:
        """The run that goes on, or the last one; None before the first, and once the last one is too old."""
        run = self._newest
        if run is None or run.ended_at is None or self._now() - run.ended_at <= KEPT_SECONDS:
            return run
        return None

    def start(self, by: str) -> bool:
        """Begin a run; False if one goes on, or ended a moment ago."""
        with self._lock:
            newest = self._newest
            if newest is not None and (newest.ended_at is None or self._now() - newest.ended_at < PAUSE_SECONDS):
                return False
            self._newest = DoctorRun(by, self._now())
        threading.Thread(target=self._run, name="doctor", daemon=True).start()
        return True

    def _run(self) -> None:
        run = self._newest
        assert run is not None
        try:
            for finding in self._examine():
                run = self._newest = replace(run, findings=(*run.findings, finding))
                if len(run.findings) >= MAX_FINDINGS or self._now() - run.began_at > MAX_RUN_SECONDS:
                    run = _with(run, Finding("doctor", "skipped", "the run was ended: it took too long", _REST))
                    break
        except Exception as error:  # noqa: BLE001 - a defect of one check must not leave a run that goes on for ever
            event(logger, "doctor_failed", level=logging.ERROR, error=type(error).__name__)
            run = _with(run, Finding("doctor", "error", f"the run was ended by {type(error).__name__}", _REST))
        self._newest = replace(run, ended_at=self._now())


def _with(run: DoctorRun, finding: Finding) -> DoctorRun:
    return replace(run, findings=(*run.findings, ScopedFinding(finding)))
