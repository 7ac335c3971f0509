"""``python -m tests.simulation``: the stages on simulated time, brokers and providers, with faults; one thread.

Without a seed new ones are tried for a while. A seed that fails is printed with the shortest part of its schedule that
fails too, and the command that runs it again. Exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.simulation import judge, seeds
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.shrink import Part, shortest
from tests.simulation.simulation import Outcome, Schedule, run, schedule_of

NOTIFICATIONS: Final = 2000
_SHRINKING_SECONDS: Final = 60.0
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Size:
    """How much a seed makes happen: so many calls at least, and so many faults if that is said."""

    notifications: int = NOTIFICATIONS
    faults: int | None = None

    def of(self, seed: int) -> Schedule:
        return schedule_of(seed, self.notifications, self.faults)

    def __str__(self) -> str:
        return f"NOTIFICATIONS={self.notifications}" + ("" if self.faults is None else f" FAULTS={self.faults}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, shrink."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone, or the first with --seconds")
    parser.add_argument("--seconds", type=float, default=0.0, help="try seeds for so long (60 if no seed is given)")
    parser.add_argument("--notifications", type=int, default=NOTIFICATIONS, help="of each seed (default %(default)s)")
    parser.add_argument("--faults", type=int, help="so many of each seed instead of those it draws")
    parser.add_argument("--schedule", type=Part.read, metavar="TEXT", help="only this part of the seed's schedule")
    parser.add_argument("--mutant", choices=MUTANTS, help="make the product wrong, to see it found")
    arguments = parser.parse_args(argv)
    if arguments.schedule is not None and arguments.seed is None:
        parser.error("a schedule is part of a seed: name it with --seed")
    mutant = MUTANTS[arguments.mutant] if arguments.mutant else Mutant()
    tried = seeds.of_today() if arguments.seed is None else itertools.count(arguments.seed)
    seconds = arguments.seconds or (60.0 if arguments.seed is None else 0.0)
    return _try(tried, seconds, Size(arguments.notifications, arguments.faults), arguments.schedule, mutant)


def _try(tried: Iterator[int], seconds: float, size: Size, part: Part | None, mutant: Mutant) -> int:
    ends_at = time.monotonic() + seconds
    done: list[Outcome] = []
    failed = False
    for seed in tried:
        schedule = size.of(seed)
        schedule = schedule if part is None else part.of(schedule)
        outcome = run(schedule, mutant)
        done.append(outcome)
        print(line(seed, schedule, outcome), flush=True)
        if outcome.problems:
            failed = True
            print(*(f"    {one}" for one in outcome.problems), sep="\n", flush=True)
            if part is None:
                print(shrunk(seed, size, outcome, mutant), flush=True)
        if time.monotonic() >= ends_at:
            break
    count, cpu_seconds = sum(one.notifications for one in done), sum(one.cpu_seconds for one in done)
    print(f"{len(done)} seeds, {count} notifications, {cpu_seconds:.1f} s CPU, "
          f"{count / cpu_seconds * 60:,.0f} notifications a minute")  # fmt: skip
    return 1 if failed else 0


def line(seed: int, schedule: Schedule, outcome: Outcome) -> str:
    """A run in one line."""
    return (
        f"seed {seed}: {outcome.notifications} notifications, {outcome.records} records, "
        f"{len(schedule.faults)} faults, {outcome.seconds:.0f} s in {outcome.cpu_seconds:.1f} s CPU, "
        f"history {outcome.digest}, {len(outcome.problems) or 'no'} problems"
    )


def shrunk(seed: int, size: Size, outcome: Outcome, mutant: Mutant, most_seconds: float = _SHRINKING_SECONDS) -> str:
    """The shortest schedule found that breaks the same guarantee, in words, and how to run it again."""
    schedule = size.of(seed)
    part = shortest(schedule, breaks_the_same(outcome, mutant), most_seconds)
    small = part.of(schedule)
    plan = small.plan
    items = [
        *(
            f"{one.provider} {one.merchant}/{one.payment_id}: "
            + ", ".join(f"{word} at {at:.3f} s" for at, word in one.changes)
            for one in plan.payments
        ),
        *map(str, plan.charges),
        *map(str, plan.garbage),
    ]
    return "\n".join((
        f"  The shortest schedule found has {len(part.faults)} faults and {len(part.items)} items:",
        *(f"    {one}" for one in (*small.faults, *items[:_SHOWN])),
        *([f"    ... and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []),
        *(f"    {one}" for one in run(small, mutant).problems),
        f'  make simulate SEED={seed} {size} SCHEDULE="{part}"',
    ))  # fmt: skip


def breaks_the_same(outcome: Outcome, mutant: Mutant) -> Callable[[Schedule], bool]:
    """Whether a schedule breaks a guarantee that this outcome breaks."""
    broken = judge.kinds(outcome.problems)
    return lambda schedule: bool(judge.kinds(run(schedule, mutant).problems).keys() & broken.keys())


if __name__ == "__main__":
    raise SystemExit(main())
