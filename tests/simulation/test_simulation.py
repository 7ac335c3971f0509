"""New seeds break no guarantee; the same seed is the same history; a product that is wrong on purpose is found."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
import time
from typing import Final

import pytest

from tests.long_form import LONG
from tests.simulation import seeds
from tests.simulation.__main__ import breaks_the_same, line, shrunk
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.shrink import Part, shortest
from tests.simulation.simulation import run, schedule_of
from tests.simulation.trials import Size, at_a_time

#: How much processor time new seeds have; `make simulate` tries for longer, or one that is named.
CPU_SECONDS: Final = float(os.environ.get("PAYNOTIFY_SIMULATION_SECONDS") or 12)
SIZE: Final = Size(notifications=1000)

#: Each mutant is found within so many seeds: most in a short run; in the long form those that write what a fence should
#: have held back, which takes processes that often stand still (what comes late is as a rule what was written before),
#: and those that are wrong only where one of few cases is repeated after a crash.
_SEEDS_FOR_A_MUTANT: Final = 15
_SEEDS_FOR_A_RARE_MUTANT: Final = 150
_SIZE_FOR_A_MUTANT: Final = Size(notifications=600, faults=30) if LONG else Size(notifications=200, faults=15)
_RARELY_FOUND: Final = frozenset(
    {"fences nobody", "publishes outputs that no fence holds back", "gives a case another id each time"}
)


def test_new_seeds_break_no_guarantee(capsys: pytest.CaptureFixture[str]) -> None:
    tried, ends_at = 0, time.process_time() + CPU_SECONDS
    for seed in seeds.of_today():
        schedule = SIZE.of(seed)
        outcome = run(schedule)
        with capsys.disabled():
            print(f"\n{line(seed, outcome)}", end="")
        if outcome.problems:
            pytest.fail("\n".join((*outcome.problems, shrunk(seed, SIZE, outcome, Mutant()))))
        tried += 1
        if time.process_time() >= ends_at:
            break
    assert tried


@pytest.mark.parametrize("seed", [1, 4])
def test_without_faults_nothing_is_done_twice(seed: int) -> None:
    calm = dataclasses.replace(schedule_of(seed, 300), faults=())
    outcome = run(calm)
    assert outcome.problems == ()
    assert outcome.errors == {}


def test_seed_is_the_same_history_every_time() -> None:
    schedule = next(one for seed in range(1, 100) if len((one := schedule_of(seed, 300)).faults) >= 10)
    first, second = run(schedule), run(schedule)
    assert first.digest == second.digest
    assert first.records == second.records > 1000
    program = (
        "from tests.simulation.simulation import run, schedule_of\n"
        f"print(run(schedule_of({schedule.seed}, 300)).digest)"
    )
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == first.digest
    assert run(schedule_of(schedule.seed + 1, 300)).digest != first.digest


def test_seeds_at_a_time_are_the_histories_they_are_alone() -> None:
    size = Size(notifications=100)
    outcomes = dict(at_a_time(2, itertools.count(7), 0.1, size, None))
    assert outcomes
    # how many there is time for depends on the machine
    for seed in sorted(outcomes)[:2]:
        assert outcomes[seed].digest == run(size.of(seed)).digest


@pytest.mark.parametrize("name", [one for one in MUTANTS if LONG or one not in _RARELY_FOUND])
def test_product_that_is_wrong_is_found(name: str) -> None:
    seeds_for_it = _SEEDS_FOR_A_RARE_MUTANT if name in _RARELY_FOUND else _SEEDS_FOR_A_MUTANT
    for seed in range(1, seeds_for_it + 1):
        schedule = _SIZE_FOR_A_MUTANT.of(seed)
        if run(schedule, MUTANTS[name]).problems:
            assert run(schedule).problems == (), "the seed fails without the mutant too"
            return
    pytest.fail(f"a product that {name} passes {seeds_for_it} seeds")


def test_failing_schedule_is_made_short_and_fails_again_from_its_text() -> None:
    mutant = MUTANTS["publishes an id with two contents"]
    schedule = schedule_of(1, 200)
    outcome = run(schedule, mutant)
    part = shortest(schedule, breaks_the_same(outcome, mutant), most_seconds=60.0)
    whole = Part.all_of(schedule)
    assert len(part.items) < len(whole.items) / 2
    assert part.faults == ()
    again = run(Part.read(str(part)).of(schedule), mutant)
    assert again.problems
    assert again.digest == run(part.of(schedule), mutant).digest
