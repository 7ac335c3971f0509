"""From a stored notification to its result: rate, CPU and provider calls; beside it a naive peer.

A backlog waits while no worker runs. The clock starts when the workers are ready with all their groups joined; what
has entered the stages by then counts for nothing, although part of its work is still to be done: the figures are
rather too bad than too good.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
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

_LEAST: Final = 200
_POLL_SECONDS: Final = 0.1
_STANDSTILL_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 3.0
_PEER_STATUS: Final = "peer.status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One backlog worked off. ``cpu_microseconds`` are for each payment, by role.

    ``payments`` is the whole backlog, ``measured`` the part that went through all stages on the clock.
    ``idle_cores`` is what the worker uses with nothing to do.
    """

    provider: str
    workers: int
    payments: int
    measured: int
    seconds: float
    calls_per_payment: float
    cpu_microseconds: dict[str, float]
    idle_cores: float | None = None

    @property
    def payments_per_second(self) -> float:
        return self.measured / self.seconds


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
    entered: int
    results: int
    cpu_seconds: dict[str, float]


def measure(scale: float, peaks: Peaks, *, only_memory: bool = False) -> Pipelines:
    """All runs in one sandbox; for the memory alone, only those that fill the state."""
    plan = Plan(
        workers=((), ()),
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={"trustpayments": {"visible_within_seconds": 0.0}, "omnikassa": {"ping_delay_seconds": 0.0}},
        configuration=UNLIMITED,
    )
    two, one, others = (max(_LEAST, round(number * scale)) for number in (TWO_WORKERS, ONE_WORKER, OTHERS))
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        stop_all(sandbox.workers)  # the groups exist now, with their offsets
        bench = _Bench(sandbox, ends, peaks)
        drained = [bench.drain("trustpayments", two, workers=2)]
        peer = None if only_memory else bench.peer("trustpayments", two)
        drained.append(bench.drain("trustpayments", one, workers=1))
        if not only_memory:
            drained += [bench.drain(provider, others, workers=1) for provider in ("nevogate", "omnikassa")]
    return Pipelines(
        drained=drained, peer=peer, payments_in_state=two + one, worker_rss_bytes=bench.rss_bytes["trustpayments"]
    )


class _Bench:
    """One sandbox and its runs."""

    def __init__(self, sandbox: Sandbox, ends: Topics, peaks: Peaks) -> None:
        self._sandbox = sandbox
        self._ends = ends
        self._peaks = peaks
        #: of the last worker of each provider's last run, at its end
        self.rss_bytes: dict[str, int] = {}

    def drain(self, provider: str, payments: int, *, workers: int) -> Drained:
        """Pile up so many payments and work them off with so many worker processes."""
        sandbox = self._sandbox
        pile_up(sandbox, provider, payments)
        wanted = self._ends.count(topics.STATUS) + payments
        entered, calls = self._entered(provider), self._calls(provider)
        children = [sandbox.start_worker(number) for number in range(workers)]
        for child in children:
            sandbox.wait_ready(child)
        running = roles_of(sandbox, provider=provider)
        begin = self._read(topics.STATUS, running, self._entered(provider) - entered)
        end = self._await(topics.STATUS, wanted, running)
        idle_cores = _idle_cores(children[0]) if workers == 1 else None
        self._peaks.note(f"{provider}, {workers} worker{'s' * (workers > 1)}", running)
        self.rss_bytes[provider] = procfs.rss_bytes(children[-1].pid)
        calls = self._calls(provider) - calls
        stop_all(children)
        return _drained(provider, workers, payments, begin, end, calls, idle_cores)

    def peer(self, provider: str, payments: int) -> Drained:
        """The naive pipeline over the notifications that are stored already."""
        sandbox = self._sandbox
        topic, calls = create_topic(sandbox, _PEER_STATUS), self._calls(provider)
        command = [sys.executable, "-m", "tests.bench.peers.pipeline", "--config", str(sandbox.config_path)]
        command += ["--provider", provider, "--topic", topic, "--notifications", str(payments)]
        child = Child("peer-pipeline", command, sandbox.logs / "peer-pipeline.log")
        try:
            child.wait_for_event("working")
            running = roles_of(sandbox, provider=provider, peer=child)
            begin = self._read(_PEER_STATUS, running)
            end = self._await(_PEER_STATUS, payments, running)
            self._peaks.note(f"{provider}, peer", running)
        finally:
            child.stop()
        return _drained(provider, 0, payments, begin, end, self._calls(provider) - calls, None)

    def _calls(self, provider: str) -> int:
        return self._sandbox.providers[provider].counters().get("calls", 0)

    def _entered(self, provider: str) -> int:
        """Payments whose work has begun so far: verified; for OmniKassa, handed over by the bank."""
        if provider == "omnikassa":
            return self._sandbox.providers[provider].counters().get("pulls.orders", 0)
        return self._ends.count(topics.lookups(provider))

    def _read(self, topic: str, running: Roles, entered: int = 0) -> _Reading:
        results = self._ends.count(topic)
        return _Reading(time.monotonic(), entered, results, roles.cpu_seconds(running))

    def _await(self, topic: str, wanted: int, running: Roles) -> _Reading:
        """The reading when all results are there.

        Raises:
            ClusterError: nothing came for a while, or more came than should.
        """
        results = self._ends.count(topic)
        while results < wanted:
            more = wait_for(
                _beyond(self._ends, topic, results), within_seconds=_STANDSTILL_SECONDS, every=_POLL_SECONDS
            )
            if more is None:
                raise ClusterError(f"{wanted - results} results are missing and none comes any more on {topic}.")
            results = more
        if results > wanted:
            raise ClusterError(f"{results - wanted} results too many on {topic}: some came twice.")
        return self._read(topic, running)


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
    provider: str, workers: int, payments: int, begin: _Reading, end: _Reading, calls: int, idle_cores: float | None
) -> Drained:
    measured = payments - begin.entered
    if measured <= 0:
        raise ClusterError(f"All {payments} payments of {provider} had begun before the workers were ready.")
    return Drained(
        provider=provider,
        workers=workers,
        payments=payments,
        measured=measured,
        seconds=end.at_seconds - begin.at_seconds,
        calls_per_payment=calls / payments,
        cpu_microseconds={
            role: (used - begin.cpu_seconds[role]) / measured * 1e6 for role, used in end.cpu_seconds.items()
        },
        idle_cores=idle_cores,
    )
