"""Two commits in one go: the other one in a worktree of its own, both measured in turns by the bench of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from paynotify.schemas.errors import PaynotifyError
from tests.bench.figures import read
from tests.bench.measures import measures
from tests.bench.text import Passage, number, ratio

_ROOT: Final = Path(__file__).parents[2]
_WORKTREES: Final = _ROOT / "build" / "bench"
_SAID_CHARACTERS: Final = 300


@dataclass(slots=True)
class Comparison:
    """Each figure's values of all rounds, of the other commit and of this one; and what could not be measured."""

    base: str
    theirs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ours: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)


def compare(base: str, sections: Sequence[str], scale: float, rounds: int) -> Comparison:
    """Measure each section on the other commit and here, and so on for so many rounds.

    Raises:
        PaynotifyError: there is no such commit.
    """
    commit = _git("rev-parse", "--verify", "--short=12", f"{base}^{{commit}}")
    comparison = Comparison(commit)
    with _worktree(commit) as other, tempfile.TemporaryDirectory(prefix="paynotify-bench-") as directory:
        for name in sections:
            for _ in range(rounds):
                for tree, values in ((other, comparison.theirs), (_ROOT, comparison.ours)):
                    where = "here" if tree == _ROOT else f"on {commit}"
                    print(f"{name} {where} ...", flush=True)
                    found = _measured(tree, name, scale, Path(directory) / "figures.json")
                    if isinstance(found, str):
                        comparison.failures.append(f"{name} could not be measured {where}: {found}")
                        continue
                    for figure, value in found.items():
                        values[figure].append(value)
    return comparison


def table(comparison: Comparison) -> Passage:
    """The median of each figure on both sides, and how many times that of the other commit this one is."""
    rows = []
    for name in {**comparison.theirs, **comparison.ours}:
        theirs, ours = (
            median(values[name]) if name in values else None for values in (comparison.theirs, comparison.ours)
        )
        rows.append((name, _digits(theirs), _digits(ours), ratio(ours, theirs)))
    return Passage("Comparison", "", ("", comparison.base, "here", "here / base"), rows, comparison.failures)


def _digits(value: float | None) -> str:
    return number(value, 0 if value is None or value >= 100 else 2)


def _measured(tree: Path, name: str, scale: float, file: Path) -> Mapping[str, float] | str:
    """The figures, or what the bench said when it broke off."""
    command = [sys.executable, "-m", "tests.bench", "--only", name, "--scale", str(scale), "--json", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return " ".join((done.stderr or done.stdout).split())[-_SAID_CHARACTERS:]
    return measures(read(file))


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """The commit's files, with the tests of this one: both sides are measured by the same bench."""
    tree = _WORKTREES / commit
    _remove(tree)
    _git("worktree", "add", "--detach", "--force", str(tree), commit)
    try:
        shutil.rmtree(tree / "tests")
        shutil.copytree(_ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        yield tree
    finally:
        _remove(tree)


def _remove(tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    _git("worktree", "prune")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PaynotifyError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
