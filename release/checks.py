"""Checks of wheels and source distributions, as an index and those who install them would make them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from release.environments import environment_of

#: What pyroma would have and nobody can truthfully say yet: there is no public address, and no person to write to.
NOT_SAID: Final = ("Author", "AuthorEmail", "Url")

_BIN: Final = Path(sys.executable).parent
_SECONDS: Final = 300


def objections(distributions: Sequence[Path]) -> list[str]:
    """What the checkers say against the distributions; empty if they are content."""
    wheels = [one for one in distributions if one.suffix == ".whl"]
    sources = [one for one in distributions if one.suffix != ".whl"]
    said = _objection("twine", "check", "--strict", *distributions), _objection("check-wheel-contents", *wheels)
    rated = [_objection("pyroma", "--min", "10", "--skip-tests", ",".join(NOT_SAID), one) for one in sources]
    return [one for one in (*said, *rated) if one]


def _objection(program: str, *arguments: str | Path) -> str:
    command = (str(_BIN / program), *map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    return "" if done.returncode == 0 else f"{program}: {done.stdout.strip()} {done.stderr.strip()}"


def installed(folder: Path, wheels: Sequence[Path], version: str) -> Iterator[str]:
    """Install the wheels with the locked libraries, and yield what does not work there."""
    python = environment_of(folder, ["runtime"], wheels)
    run = {
        "pip check": (python, "-m", "pip", "check"),
        "paynotify --version": (python.with_name("paynotify"), "--version"),
        "paynotify doctor --help": (python.with_name("paynotify"), "doctor", "--help"),
        "paynotify demo --help": (python.with_name("paynotify"), "demo", "--help"),
    }
    for name, command in run.items():
        # elsewhere than here, where the folders of the checkout would be imported
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
        if done.returncode != 0:
            yield f"{name}: exit code {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}"
        elif name == "paynotify --version" and done.stdout.strip() != f"paynotify {version}":
            yield f"{name}: says {done.stdout.strip()!r} instead of {version}"
