"""A backlog worked off, by the product's workers or by a peer: how long it took, and what it cost.

The workers are ready with all their groups joined, then frozen (SIGSTOP) while the backlog piles up through the
ingress. Their clock starts when they go on: no start-up is measured, and no work is done before. A peer's clock starts
with its first result, because how long it takes to join its group is no property of its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import ClusterError
from tests.bench import procfs, roles
from tests.bench.backlog import pile_up
from tests.bench.peers.pipelines import PROVIDER, Peer
from tests.bench.roles import Peaks, Roles, roles_of
from tests.bench.topics import Topics, create_topic, records

PAYNOTIFY: Final = "paynotify"
_POLL_SECONDS: Final = 0.1
_STALL_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 3.0
#: Where a notification ends that brings no result.
_OTHER_ENDS: Final = (topics.REJECTED, topics.DUPLICATES, topics.DEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One backlog worked off by ``system``. ``cpu_microseconds`` are for each payment, by role.

    ``idle_cores`` is what one worker uses with nothing to do.
    """

    system: str
    provider: str
    workers: int
    payments: int
    seconds: float
    calls: int
    cpu_microseconds: dict[str, float]
    idle_cores: float | None = None

    @property
    def name(self) -> str:
        layout = f", {self.workers} worker{'s' * (self.workers > 1)}" if self.system == PAYNOTIFY else ""
        return f"{self.system}{layout}"

    @property
    def payments_per_second(self) -> float:
        return self.payments / self.seconds

    @property
    def payments_per_call(self) -> float:
        return self.payments / max(1, self.calls)

    @property
    def process_microseconds(self) -> float:
        """CPU of the workers, or of the peer."""
        return self.cpu_microseconds.get("worker", 0.0) + self.cpu_microseconds.get("peer", 0.0)

    @property
    def total_microseconds(self) -> float | None:
        """With Kafka's CPU; None on a cluster whose processes can't be seen."""
        kafka = self.cpu_microseconds.get("kafka")
        return None if kafka is None else self.process_microseconds + kafka


@dataclass(frozen=True, slots=True)
class _Reading:
    at_seconds: float
    calls: int
    cpu_seconds: dict[str, float]


class Drain:
    """One sandbox and the backlogs worked off in it."""

    def __init__(self, sandbox: Sandbox, ends: Topics, peaks: Peaks) -> None:
        self._sandbox = sandbox
        self._ends = ends
        self._peaks = peaks

    def by_workers(self, provider: str, payments: int) -> Drained:
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
        drained = _drained(PAYNOTIFY, provider, len(workers), payments, begin, end)
        self._peaks.note(f"{provider}: {drained.name}", running)
        return drained

    def by_peer(self, peer: Peer, payments: int) -> Drained:
        """The same notifications, which are stored already. Nobody else may be at work.

        Raises:
            ClusterError: a result is missing, wrong, or there twice.
        """
        sandbox, name = self._sandbox, f"peer.status.{len(self._peaks.bytes_by_run)}"
        topic = create_topic(sandbox, name)
        child = peer.start(sandbox, topic, payments)
        try:
            running = roles_of(sandbox, provider=PROVIDER, peer=child)
            begin = self._read(PROVIDER, running)
            self._await(name, payments)
            end = self._read(PROVIDER, running)
            self._peaks.note(f"{PROVIDER}: {peer.name}", running)
        finally:
            child.stop()
        first = _Reading(_first_result_at(sandbox, topic, payments, peer.name), begin.calls, begin.cpu_seconds)
        return _drained(peer.name, PROVIDER, 0, payments, first, end)

    def idle_cores(self) -> float:
        """What the first worker uses while it has nothing to do."""
        pid = self._sandbox.workers[0].pid
        before, since = procfs.cpu_seconds(pid), time.monotonic()
        time.sleep(_IDLE_SECONDS)
        return (procfs.cpu_seconds(pid) - before) / (time.monotonic() - since)

    def _read(self, provider: str, running: Roles) -> _Reading:
        calls = self._sandbox.providers[provider].counters().get("calls", 0)
        return _Reading(time.time(), calls, roles.cpu_seconds(running))

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


def _first_result_at(sandbox: Sandbox, topic: str, payments: int, peer: str) -> float:
    """When the peer wrote its first result. One that answers wrongly would win the comparison, so all are read."""
    written = records(sandbox, topic)
    results = [orjson.loads(record.value) for record in written]
    captured = {one["payment_id"] for one in results if one["status"] == "captured"}
    if len(captured) != payments:
        raise ClusterError(f"{peer} tells of {len(captured)} captured payments, but {payments} are.")
    return min(float(record.timestamp) for record in written) / 1000


def _drained(system: str, provider: str, workers: int, payments: int, begin: _Reading, end: _Reading) -> Drained:
    return Drained(
        system=system,
        provider=provider,
        workers=workers,
        payments=payments,
        seconds=end.at_seconds - begin.at_seconds,
        calls=end.calls - begin.calls,
        cpu_microseconds={
            role: (used - begin.cpu_seconds[role]) / payments * 1e6 for role, used in end.cpu_seconds.items()
        },
    )
