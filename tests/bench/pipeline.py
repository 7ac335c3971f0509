"""From a stored notification to its result: rate, CPU and provider calls; beside it a naive peer.

The workers are ready with all their groups joined, then frozen (SIGSTOP) while the backlog piles up through the
ingress. The clock starts when they go on: no start-up is measured, and no work is done before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.processes import Child, stop_all, wait_for
from sandbox.system import Plan, Sandbox
from schemas import topics
from schemas.errors import ClusterError
from tests.bench import procfs, roles
from tests.bench.backlog import pile_up
from tests.bench.ingress import UNLIMITED
from tests.bench.roles import Peaks, Roles, roles_of
from tests.bench.topics import Topics, create_topic

PROVIDER_LATENCY_SECONDS: Final = 0.02

#: Payments of each run. The second run of Trust Payments adds to the state of the first.
TWO_WORKERS: Final = 40_000
ONE_WORKER: Final = 60_000
OTHERS: Final = 5_000

#: A frozen worker must stay a member of its groups.
_SESSION_SECONDS: Final = 300.0
#: Heartbeats are rare then, so two workers that start together must meet in one rebalance.
_MEET_MILLISECONDS: Final = 3_000
_LEAST: Final = 200
_POLL_SECONDS: Final = 0.1
_STALL_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 3.0
_PEER_STATUS: Final = "peer.status"
#: Where a notification ends that brings no result.
_OTHER_ENDS: Final = (topics.REJECTED, topics.DUPLICATES, topics.DEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One backlog worked off. ``cpu_microseconds`` are for each payment, by role.

    No workers means the peer. ``idle_cores`` is what the worker uses with nothing to do.
    """

    provider: str
    workers: int
    payments: int
    seconds: float
    calls: int
    cpu_microseconds: dict[str, float]
    idle_cores: float | None = None

    @property
    def payments_per_second(self) -> float:
        return self.payments / self.seconds

    @property
    def payments_per_call(self) -> float:
        return self.payments / max(1, self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipelines:
    """All runs, and the memory of one worker with many payments in its state."""

    drained: list[Drained]
    peer: Drained | None
    payments_in_state: int
    worker_rss_bytes: int


@dataclass(frozen=True, slots=True)
class _Reading:
    at_seconds: float
    calls: int
    cpu_seconds: dict[str, float]


def measure(scale: float, peaks: Peaks, *, only_memory: bool = False) -> Pipelines:
    """All runs in one sandbox; for the memory alone, only those that fill the state."""
    layout: list[Sequence[str]] = [(), ()]
    plan = Plan(
        workers=layout,
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={"trustpayments": {"visible_within_seconds": 0.0}, "omnikassa": {"ping_delay_seconds": 0.0}},
        configuration={
            **UNLIMITED,
            "worker": {**UNLIMITED["worker"], "session_timeout_seconds": _SESSION_SECONDS},
        },
        kafka_settings={"group.initial.rebalance.delay.ms": str(_MEET_MILLISECONDS)},
    )
    two, one, others = (max(_LEAST, round(number * scale)) for number in (TWO_WORKERS, ONE_WORKER, OTHERS))
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        bench = _Bench(sandbox, ends, peaks)
        drained = [bench.drain("trustpayments", two)]
        stop_all(sandbox.workers)
        peer = None if only_memory else bench.peer("trustpayments", two)
        layout[:] = [()]
        sandbox.workers = [sandbox.workers[0]]
        sandbox.wait_ready(sandbox.start_worker(0))
        drained.append(bench.drain("trustpayments", one))
        rss_bytes = procfs.rss_bytes(sandbox.workers[0].pid)
        if not only_memory:
            drained += [bench.drain(provider, others) for provider in ("nevogate", "omnikassa")]
    return Pipelines(drained=drained, peer=peer, payments_in_state=two + one, worker_rss_bytes=rss_bytes)


class _Bench:
    """One sandbox and its runs."""

    def __init__(self, sandbox: Sandbox, ends: Topics, peaks: Peaks) -> None:
        self._sandbox = sandbox
        self._ends = ends
        self._peaks = peaks

    def drain(self, provider: str, payments: int) -> Drained:
        """Pile up so many payments while the workers are frozen, then let them work."""
        workers = self._sandbox.workers
        wanted = self._ends.count(topics.STATUS) + payments
        for child in workers:
            child.pause()
        pile_up(self._sandbox, provider, payments)
        running = roles_of(self._sandbox, provider=provider)
        begin = self._read(provider, running)
        for child in workers:
            child.resume()
        self._await(topics.STATUS, wanted)
        end = self._read(provider, running)
        self._peaks.note(f"{provider}, {len(workers)} worker{'s' * (len(workers) > 1)}", running)
        idle_cores = _idle_cores(workers[0]) if len(workers) == 1 else None
        return _drained(provider, len(workers), payments, begin, end, idle_cores)

    def peer(self, provider: str, payments: int) -> Drained:
        """The naive pipeline over the notifications that are stored already."""
        sandbox = self._sandbox
        topic = create_topic(sandbox, _PEER_STATUS)
        command = [sys.executable, "-m", "tests.bench.peers.pipeline", "--config", str(sandbox.config_path)]
        command += ["--provider", provider, "--topic", topic, "--notifications", str(payments)]
        child = Child("peer-pipeline", command, sandbox.logs / "peer-pipeline.log")
        try:
            child.wait_for_event("worker_started")
            running = roles_of(sandbox, provider=provider, peer=child)
            begin = self._read(provider, running)
            self._await(_PEER_STATUS, payments)
            end = self._read(provider, running)
            self._peaks.note(f"{provider}, peer", running)
        finally:
            child.stop()
        return _drained(provider, 0, payments, begin, end, None)

    def _read(self, provider: str, running: Roles) -> _Reading:
        calls = self._sandbox.providers[provider].counters().get("calls", 0)
        return _Reading(time.monotonic(), calls, roles.cpu_seconds(running))

    def _await(self, topic: str, wanted: int) -> None:
        """Return when all results are there.

        Raises:
            ClusterError: nothing came for a while, or more came than should.
        """
        results = self._ends.count(topic)
        while results < wanted:
            more = wait_for(_beyond(self._ends, topic, results), within_seconds=_STALL_SECONDS, every=_POLL_SECONDS)
            if more is None:
                ended = ", ".join(f"{self._ends.count(name)} are on {name}" for name in _OTHER_ENDS)
                raise ClusterError(
                    f"{wanted - results} results are missing on {topic} and none comes any more; {ended}."
                )
            results = more
        if results > wanted:
            raise ClusterError(f"{results - wanted} results too many on {topic}: some came twice.")


def _beyond(ends: Topics, topic: str, results: int) -> Callable[[], int | None]:
    def more() -> int | None:
        now = ends.count(topic)
        return now if now > results else None

    return more


def _idle_cores(child: Child) -> float:
    before, since = procfs.cpu_seconds(child.pid), time.monotonic()
    time.sleep(_IDLE_SECONDS)
    return (procfs.cpu_seconds(child.pid) - before) / (time.monotonic() - since)


def _drained(
    provider: str, workers: int, payments: int, begin: _Reading, end: _Reading, idle_cores: float | None
) -> Drained:
    return Drained(
        provider=provider,
        workers=workers,
        payments=payments,
        seconds=end.at_seconds - begin.at_seconds,
        calls=end.calls - begin.calls,
        cpu_microseconds={
            role: (used - begin.cpu_seconds[role]) / payments * 1e6 for role, used in end.cpu_seconds.items()
        },
        idle_cores=idle_cores,
    )
