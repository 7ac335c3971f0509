"""``python -m tests.simulation``: the stages on simulated time, brokers and providers, with faults; one thread a seed.

Without a seed new ones are tried for a while, as many at a time as there are processors. A seed that fails is printed
with the shortest part of its schedule that fails too, and the command that runs it again. Exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.simulation import judge, seeds
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.shrink import Part, shortest
from tests.simulation.simulation import Outcome, Schedule, run
from tests.simulation.trials import NOTIFICATIONS, Size, at_a_time, run_seed

_SHRINKING_SECONDS: Final = 180.0
_SHOWN: Final = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, shrink."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one alone, or the first with --seconds")
    parser.add_argument("--seconds", type=float, default=0.0, help="try seeds for so long (60 if no seed is given)")
    parser.add_argument("--notifications", type=int, default=NOTIFICATIONS, help="of each seed (default %(default)s)")
    parser.add_argument("--faults", type=int, help="so many of each seed instead of those it draws")
    parser.add_argument("--schedule", type=Part.read, metavar="TEXT", help="only this part of the seed's schedule")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="seeds at a time, where more are tried (%(default)s here)"
    )
    parser.add_argument("--mutant", choices=MUTANTS, help="make the product wrong, to see it found")
    arguments = parser.parse_args(argv)
    if arguments.schedule is not None and arguments.seed is None:
        parser.error("a schedule is part of a seed: name it with --seed")
    mutant = Mutant.named(arguments.mutant)
    tried = seeds.of_today() if arguments.seed is None else itertools.count(arguments.seed)
    seconds = arguments.seconds or (60.0 if arguments.seed is None else 0.0)
    size = Size(arguments.notifications, arguments.faults)
    if seconds:
        outcomes = at_a_time(max(1, arguments.processes or 1), tried, seconds, size, arguments.mutant)
    else:
        outcomes = (
            (seed, run_seed(seed, size, arguments.schedule, arguments.mutant)) for seed in itertools.islice(tried, 1)
        )
    return _tell(outcomes, size, arguments.schedule, mutant)


def _tell(outcomes: Iterator[tuple[int, Outcome]], size: Size, part: Part | None, mutant: Mutant) -> int:
    began, done, failed = time.monotonic(), list[Outcome](), False
    for seed, outcome in outcomes:
        done.append(outcome)
        print(line(seed, outcome), flush=True)
        if outcome.problems:
            failed = True
            print(*(f"    {one}" for one in outcome.problems), sep="\n", flush=True)
            if part is None:
                print(shrunk(seed, size, outcome, mutant), flush=True)
    count, cpu_seconds = sum(one.notifications for one in done), sum(one.cpu_seconds for one in done)
    print(
        f"{len(done)} seeds, {count} notifications, {cpu_seconds:.1f} s CPU, "
        f"{count / cpu_seconds * 60:,.0f} notifications a minute of one thread, "
        f"{count / (time.monotonic() - began) * 60:,.0f} of all"
    )
    return 1 if failed else 0


def line(seed: int, outcome: Outcome) -> str:
    """A run in one line."""
    return (
        f"seed {seed}: {outcome.notifications} notifications, {outcome.records} records, "
        f"{outcome.faults} faults, {outcome.seconds:.0f} s in {outcome.cpu_seconds:.1f} s CPU, "
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
    return "\n".join(
        (
            f"  The shortest schedule found has {len(part.faults)} faults and {len(part.items)} items:",
            *(f"    {one}" for one in (*small.faults, *items[:_SHOWN])),
            *([f"    ... and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []),
            *(f"    {one}" for one in run(small, mutant).problems),
            f'  make simulate SEED={seed} {size} SCHEDULE="{part}"',
        )
    )


def breaks_the_same(outcome: Outcome, mutant: Mutant) -> Callable[[Schedule], bool]:
    """Whether a schedule breaks a guarantee that this outcome breaks."""
    broken = judge.kinds(outcome.problems)
    return lambda schedule: bool(judge.kinds(run(schedule, mutant).problems).keys() & broken.keys())


if __name__ == "__main__":
    raise SystemExit(main())
