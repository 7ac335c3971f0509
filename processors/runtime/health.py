"""The worker's judgement on its own health, for the probes: None if well, or the problem as a sentence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

from paynotify.processors.runtime.lag import LagMonitor
from paynotify.processors.runtime.runner import StageRunner
from paynotify.service.outage import BrokerAvailability

_BROKER_SILENCE_SECONDS: Final = 30.0
_EVENT_LOOP_SILENCE_SECONDS: Final = 30.0


class Loadable(Protocol):
    """What is loaded at the start and needed for processing."""

    @property
    def behind(self) -> bool: ...


class Health:
    """Liveness, readiness and startup of one worker process."""

    def __init__(self, brokers: BrokerAvailability) -> None:
        self._brokers = brokers
        self._runners: Sequence[StageRunner] = ()
        self._lag: LagMonitor | None = None
        self._expectations: Loadable | None = None
        self._started = False
        self._stopping = False
        self._heartbeat_at = time.monotonic()

    def observe(self, runners: Sequence[StageRunner], lag: LagMonitor, expectations: Loadable | None) -> None:
        """Judge these runners from now on. ``expectations`` is None if no stage reads them."""
        self._runners, self._lag, self._expectations = runners, lag, expectations

    def started(self) -> None:
        """All runners have started."""
        self._started = True

    def stopping(self) -> None:
        """The process shuts down: it is not ready any more."""
        self._stopping = True

    def heartbeat(self) -> None:
        """The event loop runs."""
        self._heartbeat_at = time.monotonic()

    def live(self) -> str | None:
        """Why the process should be restarted."""
        silent_seconds = time.monotonic() - self._heartbeat_at
        if self._started and silent_seconds > _EVENT_LOOP_SILENCE_SECONDS:
            return f"the event loop has not run for {silent_seconds:.0f} s"
        return "; ".join(self._lag.stalled()) or None if self._lag is not None else None

    def startup(self) -> str | None:
        """What the start still waits for. Unreachable brokers do not count: a restart would not help."""
        if self._brokers.problem is not None:
            return None
        lag = self._lag
        if lag is not None and lag.responded_at is not None and lag.seconds_since_response() > _BROKER_SILENCE_SECONDS:
            return None
        return self._not_processing()

    def ready(self) -> str | None:
        """Why the process does not process all of its partitions."""
        return self._not_processing() or self._halted()

    def _not_processing(self) -> str | None:
        if self._stopping:
            return "stopping"
        if not self._started:
            return self._brokers.problem or "starting"
        if self._lag is None or self._lag.seconds_since_response() > _BROKER_SILENCE_SECONDS:
            return f"the brokers have not responded for {_BROKER_SILENCE_SECONDS:.0f} s"
        waiting = [runner.name for runner in self._runners if runner.waiting]
        if waiting:
            return f"no partitions assigned yet: {', '.join(waiting)}"
        if self._expectations is not None and self._expectations.behind:
            return "expected payments are being loaded"
        recovering = [runner.name for runner in self._runners if runner.recovering()]
        return f"state is being recovered: {', '.join(recovering)}" if recovering else None

    def _halted(self) -> str | None:
        halted = [
            f"{runner.name} halted at {topic}/{partition}: {why}"
            for runner in self._runners
            for (topic, partition), why in runner.halted().items()
        ]
        return "; ".join(halted) or None
