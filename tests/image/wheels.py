"""Asks the index for a wheel of each locked dependency of the image, for both kinds of machines: ``make wheels``.

An image has no compiler, so what has no wheel keeps the image from being built for that machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ("runtime", "image", "sbom")
MACHINES: Final = ("x86_64", "aarch64")
#: What is known to have none, by machine: its wheel must be built from the locked source on such a machine.
WITHOUT: Final = {("aarch64", "faust-streaming")}

_LIBRARIES: Final = ("_2_28", "_2_17", "2014")
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of a lock: the requirement, and the hashes of its files."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """For pip, which would judge the marker by this machine."""
        return " ".join((f"{self.requirement.name}{self.requirement.specifier}", *self.hashes))


def locked(text: str, machine: str) -> Iterator[Locked]:
    """What the lock holds for an image of this machine."""
    where = {
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "python_version": "3.11",
        "python_full_version": "3.11.0",
    }
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            words, *hashes = line.split(" --hash=")
            requirement = Requirement(words)
            if requirement.marker is None or requirement.marker.evaluate(where):
                yield Locked(requirement, tuple(f"--hash={one.strip()}" for one in hashes))


def has_wheel(one: Locked, machine: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(one.line + "\n", "utf-8")
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:")
        target = ("--implementation", "cp", "--python-version", "3.11", "--dest", folder)
        machines = [word for libc in _LIBRARIES for word in ("--platform", f"manylinux{libc}_{machine}")]
        pip = (sys.executable, "-m", "pip", "download", *options, *target, *machines, "-r", str(lock))
        done = subprocess.run(pip, capture_output=True, text=True, timeout=600)
    if done.returncode and "No matching distribution found" not in done.stderr:
        raise RuntimeError(f"{one.requirement} could not be asked for: {done.stderr.strip()}")
    return done.returncode == 0


def main() -> int:
    """Exit code 1: a dependency lacks a wheel, or has one now, unlike `WITHOUT`."""
    lacking: set[tuple[str, str]] = set()
    for machine in MACHINES:
        found = {one.line: one for lock in LOCKS for one in locked(text_of(lock), machine)}
        with ThreadPoolExecutor(_AT_ONCE) as executor:
            answers = executor.map(lambda one, machine=machine: has_wheel(one, machine), found.values())
            missing = {one.requirement.name for one, has in zip(found.values(), answers, strict=True) if not has}
        lacking |= {(machine, name) for name in missing}
        print(f"{machine}: {len(found)} locked, without a wheel: {', '.join(sorted(missing)) or 'none'}", flush=True)
    for machine, name in sorted(lacking ^ WITHOUT):
        print(f"{machine}: {name} {'has no wheel' if (machine, name) in lacking else 'has a wheel now'}")
    return 1 if lacking ^ WITHOUT else 0


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
