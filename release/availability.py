"""Asks the index which files each locked dependency has, for both machines and every Python: ``make wheels``.

The image's build has no compiler but where it makes a library from its source, and people who install paynotify should
need none. Nothing is downloaded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from release.locks import IMAGE_LOCKS, LIBRARIES, MACHINES, PYTHONS, ROOT, WITHOUT_WHEEL, locked, text_of
from release.wheelhouse import SOURCES_LOCK

_UV: Final = str(Path(sys.executable).with_name("uv"))
_SECONDS: Final = 300


def files_of(lock: Path) -> Mapping[str, tuple[str, ...]]:
    """The names of the files that the index has of each locked library: its wheels and its source."""
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "pylock.toml"
        # `--no-deps`: what is locked is what is asked about
        what = ("--quiet", "--no-deps", "--universal", "--python-version", PYTHONS[0], "--format", "pylock.toml")
        subprocess.run((_UV, "pip", "compile", *what, lock, "-o", listing), check=True, timeout=_SECONDS)
        packages = tomllib.loads(listing.read_text("utf-8"))["packages"]
    return {str(one["name"]): tuple(_files(one)) for one in packages}


def _files(package: Mapping[str, Any]) -> Iterator[str]:
    for file in (*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())):
        yield str(file["url"]).rpartition("/")[2]


def tags_of(machine: str, python: str) -> frozenset[Tag]:
    """The tags of the wheels that a Python on such a Linux machine can load."""
    major, minor = (int(one) for one in python.split("."))
    platforms = [f"manylinux{libc}_{machine}" for libc in (*LIBRARIES, "_2_12", "_2_5", "2010", "1")]
    interpreter = f"cp{major}{minor}"
    return frozenset(
        (*cpython_tags((major, minor), platforms=platforms), *compatible_tags((major, minor), interpreter, platforms))
    )


def without_wheel(files: Mapping[str, tuple[str, ...]], text: str, machine: str, python: str) -> frozenset[str]:
    """The libraries of the lock of which no wheel fits that machine and Python."""
    fitting = tags_of(machine, python)
    names = {canonicalize_name(one.requirement.name) for one in locked(text, machine, python)}
    return frozenset(name for name in names if not any(_tags(file) & fitting for file in files[name]))


def _tags(file: str) -> frozenset[Tag]:
    return parse_wheel_filename(file)[3] if file.endswith(".whl") else frozenset()


def resolves(lock: Path, machine: str, python: str, sources: frozenset[str]) -> str | None:
    """Whether an installer takes the lock there: None, or what it says against it."""
    where = ("--python-platform", f"{machine}-manylinux_2_28", "--python-version", python, "--target", "unused")
    kinds = ["--only-binary", ":all:", *(word for name in sources for word in ("--no-binary", name))]
    command = (_UV, "pip", "install", "--dry-run", "--require-hashes", *where, *kinds, "-r", str(lock))
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    return done.stderr.strip() if done.returncode else None


def main() -> int:
    """Exit code 1: a lock can't be installed somewhere, or what has no wheel is not what `WITHOUT_WHEEL` says."""
    trouble = 0
    for name in (*IMAGE_LOCKS, SOURCES_LOCK):
        lock = ROOT / "requirements" / f"{name}.txt"
        files = files_of(lock)
        for machine in MACHINES:
            for python in PYTHONS:
                lacking = without_wheel(files, text_of(name), machine, python)
                said = f"{name}.txt, {machine}, Python {python}: "
                said += f"from source: {', '.join(sorted(lacking))}" if lacking else "wheels for all"
                print(said, flush=True)
                known = WITHOUT_WHEEL[machine] & files.keys()
                if lacking != known:
                    print(f"  WITHOUT_WHEEL in release/locks.py says {sorted(known)}. Correct it.")
                    trouble = 1
                if (refusal := resolves(lock, machine, python, lacking)) is not None:
                    print(f"  can't be installed: {refusal}")
                    trouble = 1
    return trouble


if __name__ == "__main__":
    sys.exit(main())
