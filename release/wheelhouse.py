"""Downloads what the image's build stage installs into ``build/wheels``, all by hash: a part of ``make image``.

A library that has no wheel for the image's machine comes as its locked source, with the locked tools that its build
needs. The build stage, which has a compiler then, makes the wheel.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from release.environments import environment_of
from release.locks import IMAGE_LOCKS, IMAGE_PYTHON, LIBRARIES, MACHINES, ROOT, WITHOUT_WHEEL, Locked, locked, text_of

WHEELS: Final = ROOT / "build" / "wheels"
#: What builds a source of a lock; itself locked, and only as wheels.
SOURCES_LOCK: Final = "sources"
_TOOLS: Final = ROOT / "build" / "source-tools"
#: The same machine by another name, as on macOS.
_MACHINES: Final = {"arm64": "aarch64", "AMD64": "x86_64"}
_PIP: Final = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def download(machine: str, from_source: Collection[str], target: Path) -> None:
    """Fill the folder, which may hold what an earlier lock named.

    Raises:
        subprocess.CalledProcessError: a file is not to be had; pip has said which.
    """
    shutil.rmtree(target, ignore_errors=True)
    for lock in (*IMAGE_LOCKS, *([SOURCES_LOCK] if from_source else [])):
        wanted = [one for one in locked(text_of(lock), machine) if one.requirement.name not in from_source]
        platforms = [word for libc in LIBRARIES for word in ("--platform", f"manylinux{libc}_{machine}")]
        python = ("--implementation", "cp", "--python-version", IMAGE_PYTHON)
        _download(Path(sys.executable), wanted, target, ("--only-binary=:all:", *python, *platforms))
    if from_source:
        sources = [
            one for lock in IMAGE_LOCKS for one in locked(text_of(lock), machine) if one.requirement.name in from_source
        ]
        # pip runs a source's build to learn its name; with its own isolation it would fetch tools without hashes
        _download(_tools(), sources, target, ("--no-binary=:all:", "--no-build-isolation"))


def _tools() -> Path:
    """A Python of this machine with the tools that build sources."""
    return environment_of(_TOOLS, [SOURCES_LOCK], options=("--only-binary=:all:",))


def _download(python: Path, wanted: Iterable[Locked], target: Path, options: Sequence[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("".join(f"{one.line}\n" for one in wanted))
        lock.flush()
        what = ("--no-deps", "--require-hashes", "--dest", target, "-r", lock.name)
        subprocess.run((python, *_PIP, "download", *options, *what), check=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Download for one machine."""
    parser = argparse.ArgumentParser(prog="python -m release.wheelhouse", description=__doc__)
    this = _MACHINES.get(platform.machine(), platform.machine())
    parser.add_argument("--machine", choices=MACHINES, default=this, help="the image's (default: this)")
    parser.add_argument(
        "--source", action="append", metavar="NAME", help="build this library (default: those without a wheel)"
    )
    arguments = parser.parse_args(argv)
    from_source = frozenset(arguments.source or WITHOUT_WHEEL[arguments.machine])
    try:
        download(arguments.machine, from_source, WHEELS)
    except subprocess.CalledProcessError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
