"""Seeds that are run one by one or, each in a process's only thread, several at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from tests.simulation.mutants import Mutant
from tests.simulation.shrink import Part
from tests.simulation.simulation import Outcome, Schedule, run, schedule_of

#: The first and the last seconds of a run cost the same however much happens in between.
NOTIFICATIONS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much a seed makes happen: so many calls at least, and so many faults if that is said."""

    notifications: int = NOTIFICATIONS
    faults: int | None = None

    def of(self, seed: int) -> Schedule:
        return schedule_of(seed, self.notifications, self.faults)

    def __str__(self) -> str:
        return f"NOTIFICATIONS={self.notifications}" + ("" if self.faults is None else f" FAULTS={self.faults}")


def run_seed(seed: int, size: Size, part: Part | None, mutant: str | None) -> Outcome:
    """Run one, or a part of it."""
    schedule = size.of(seed)
    return run(schedule if part is None else part.of(schedule), Mutant.named(mutant))


def at_a_time(
    processes: int, tried: Iterator[int], seconds: float, size: Size, mutant: str | None
) -> Iterator[tuple[int, Outcome]]:
    """Seed after seed for so long, each in one thread of one of the processes."""
    ends_at = time.monotonic() + seconds
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        running: dict[Future[Outcome], int] = {}
        while True:
            while len(running) < processes and time.monotonic() < ends_at:
                seed = next(tried)
                running[pool.submit(run_seed, seed, size, None, mutant)] = seed
            if not running:
                return
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(one), one.result()
