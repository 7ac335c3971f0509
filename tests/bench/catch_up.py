"""One of two workers ends under a constant load: how long results stay out, and how fast the backlog is worked off.

Computed from the topics alone. The load goes on all the time and reaches every partition, so a partition without
results is one that waits for its new owner.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import ClusterError
from tests.bench.backlog import order
from tests.bench.ingress import UNLIMITED
from tests.bench.pipeline import PROVIDER_LATENCY_SECONDS
from tests.bench.roles import Peaks, roles_of
from tests.bench.topics import Topics, records

KILLED: Final = "kill -9"
RESTARTED: Final = "planned restart"

_PROVIDER: Final = "trustpayments"
_PAYMENTS_PER_SECOND: Final = 300.0
_LEAST_PER_SECOND: Final = 60.0
_ROUNDS: Final = 3
_EVERY_SECONDS: Final = 0.05
_BEFORE_SECONDS: Final = 4.0
_LEAST_BEFORE_SECONDS: Final = 1.0
_CAUGHT_UP_SECONDS: Final = 60.0
_LAST_RESULTS_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 30.0
#: Load of so many seconds is under way at any time, however fast the workers are.
_UNDER_WAY_SECONDS: Final = 1.0
#: The rate at which a smaller backlog is worked off is chance.
_TELLING_SECONDS: Final = 3.0
#: A shorter silence of a partition is chance.
_STALLED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """One end of a worker. ``silent_seconds`` is the longest time, from the end on, in which a partition brought no
    result; ``stalled`` is how many partitions were silent for over a second.

    ``backlog`` waited when the last of them went on. ``worked_off_per_second`` are the results from then until the
    backlog is gone, or until the load ends; None where it was too small to tell.
    """

    ended: str
    arrivals_per_second: float
    silent_seconds: float
    stalled: int
    backlog: int
    worked_off_per_second: float | None

    @property
    def worked_off_ratio(self) -> float | None:
        """How many times the arrival rate the backlog was worked off."""
        return None if self.worked_off_per_second is None else self.worked_off_per_second / self.arrivals_per_second


@dataclass(frozen=True, slots=True)
class CatchUp:
    """All rounds."""

    session_timeout_seconds: float
    partitions: int
    rounds: list[CaughtUp]

    def of(self, ended: str) -> list[CaughtUp]:
        """The rounds with that end."""
        return [one for one in self.rounds if one.ended == ended]


def measure(scale: float, peaks: Peaks) -> CatchUp:
    """Two workers with the product's own session timeout, which small runs leave to the sandbox."""
    rate, rounds = max(_LEAST_PER_SECOND, _PAYMENTS_PER_SECOND * min(1.0, scale)), max(1, round(_ROUNDS * scale))
    own = {} if scale < 1 else {"session_timeout_seconds": WorkerSettings().session_timeout_seconds}
    plan = Plan(
        workers=((), ()),
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={_PROVIDER: {"visible_within_seconds": 0.0}},
        configuration={**UNLIMITED, "worker": {**UNLIMITED["worker"], **own}},
    )
    before_seconds = max(_LEAST_BEFORE_SECONDS, _BEFORE_SECONDS * scale)
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        test = _Test(sandbox, ends, rate, before_seconds)
        found = [test.run(KILLED, test.kill) for _ in range(rounds)]
        found += [test.run(RESTARTED, test.restart) for _ in range(rounds)]
        peaks.note("catch-up", roles_of(sandbox))
        timeout_seconds = sandbox.configuration.worker.session_timeout_seconds
    return CatchUp(timeout_seconds, plan.partitions, found)


class _Test:
    """One sandbox under load; each run ends the first worker once."""

    def __init__(self, sandbox: Sandbox, ends: Topics, rate: float, before_seconds: float) -> None:
        self._sandbox = sandbox
        self._ends = ends
        self._rate = rate
        self._before_seconds = before_seconds

    def kill(self) -> None:
        """Nobody starts it again before the other has caught up, which can't begin before the session timeout."""
        self._sandbox.workers[0].kill()
        time.sleep(self._sandbox.configuration.worker.session_timeout_seconds)

    def restart(self) -> None:
        self._sandbox.workers[0].stop(_STOP_SECONDS)
        self._sandbox.wait_ready(self._sandbox.start_worker(0))

    def run(self, ended: str, end: Callable[[], None]) -> CaughtUp:
        """
        Raises:
            ClusterError: a notification brought no result.
        """
        sandbox = self._sandbox
        first = self._ends.count(topics.STATUS)
        with _load(sandbox, first, self._rate):
            time.sleep(self._before_seconds)
            ended_at = time.time()
            end()
            since = self._ends.by_partition(topics.STATUS)
            wait_for(lambda: self._caught_up(since), within_seconds=_CAUGHT_UP_SECONDS, every=0.2)
            over_at = time.time()
        if not wait_for(lambda: self._behind() <= 0, within_seconds=_LAST_RESULTS_SECONDS, every=0.2):
            raise ClusterError(f"{self._behind()} notifications brought no result after {ended}.")
        if not sandbox.workers[0].running:
            sandbox.wait_ready(sandbox.start_worker(0))
        arrivals = sorted(one.timestamp / 1000 for one in self._records(topics.notifications(_PROVIDER)))
        results: dict[int, list[float]] = defaultdict(list)
        for one in self._records(topics.STATUS):
            results[one.partition].append(one.timestamp / 1000)
        return judged(ended, ended_at, over_at, arrivals, results)

    def _records(self, name: str) -> Sequence[Any]:
        return records(self._sandbox, self._sandbox.topic(name))

    def _behind(self) -> int:
        return self._ends.count(topics.notifications(_PROVIDER)) - self._ends.count(topics.STATUS)

    def _caught_up(self, since: Sequence[int]) -> bool:
        """Whether every partition has brought results since, and no more is under way than usual."""
        now = self._ends.by_partition(topics.STATUS)
        moving = all(later > earlier for earlier, later in zip(since, now, strict=True))
        return moving and self._behind() <= self._rate * _UNDER_WAY_SECONDS


@contextmanager
def _load(sandbox: Sandbox, first: int, rate: float) -> Iterator[None]:
    """Pay at a constant rate meanwhile, however slow the results are."""
    over = threading.Event()

    def pay() -> None:
        paid, began = 0, time.monotonic()
        while not over.wait(_EVERY_SECONDS):
            due = int((time.monotonic() - began) * rate)
            sandbox.providers[_PROVIDER].pay_all([order(_PROVIDER, first + number) for number in range(paid, due)])
            paid = due

    with ThreadPoolExecutor(1, "load") as threads:
        load = threads.submit(pay)
        try:
            yield
        finally:
            over.set()
        load.result()


def judged(
    ended: str, ended_at: float, over_at: float, arrivals: Sequence[float], results: Mapping[int, Sequence[float]]
) -> CaughtUp:
    """Of the sorted times of all arrivals, and of the results of each partition. Pure."""
    silences = [_longest_silence(sorted(times), ended_at, over_at) for times in results.values()]
    everything = sorted(time for times in results.values() for time in times)
    silent, again_at = max(silences)

    def backlog(at: float) -> int:
        return bisect_right(arrivals, at) - bisect_right(everything, at)

    rate = (bisect_right(arrivals, over_at) - bisect_right(arrivals, ended_at)) / (over_at - ended_at)
    under_way = rate * _UNDER_WAY_SECONDS
    later = everything[bisect_right(everything, again_at) : bisect_right(everything, over_at)]
    gone_at = next((at for at in later if backlog(at) <= under_way), over_at)
    worked_off = bisect_right(everything, gone_at) - bisect_right(everything, again_at)
    waiting, telling = backlog(again_at), rate * _TELLING_SECONDS
    return CaughtUp(
        ended=ended,
        arrivals_per_second=rate,
        silent_seconds=silent,
        stalled=sum(seconds > _STALLED_SECONDS for seconds, _ in silences),
        backlog=waiting,
        worked_off_per_second=worked_off / (gone_at - again_at) if waiting > telling and gone_at > again_at else None,
    )


def _longest_silence(times: Sequence[float], since: float, until: float) -> tuple[float, float]:
    """Between two results of the period, or an end of the period and the result next to it; and when it was over."""
    points = [since, *(at for at in times if since < at < until), until]
    return max((later - earlier, later) for earlier, later in pairwise(points))
