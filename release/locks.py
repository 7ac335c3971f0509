"""Reads the hash-locked files of ``requirements/`` as pip does on the machine that is asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[1]
#: What the images are made of: the libraries, the first process, and what lists the parts.
IMAGE_LOCKS: Final = ("runtime", "image", "sbom")
MACHINES: Final = ("x86_64", "aarch64")
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
#: The Python of the image.
IMAGE_PYTHON: Final = "3.11"
#: Libraries without a wheel, by machine: the image's build stage makes it from the locked source. `make wheels` tells
#: when this is no longer so.
WITHOUT_WHEEL: Final = {"x86_64": frozenset[str](), "aarch64": frozenset({"faust-streaming"})}
#: The platforms whose wheels the image's Debian can load, the newest first.
LIBRARIES: Final = ("_2_28", "_2_17", "2014")


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry of a lock: the requirement, and the hashes of its files."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """For pip, which would judge the marker by this machine."""
        return " ".join((f"{self.requirement.name}{self.requirement.specifier}", *self.hashes))


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")


def locked(text: str, machine: str, python: str = IMAGE_PYTHON) -> Iterator[Locked]:
    """What the lock holds for a Linux machine of this kind with this Python."""
    where = {
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            words, *hashes = line.split(" --hash=")
            requirement = Requirement(words)
            if requirement.marker is None or requirement.marker.evaluate(where):
                yield Locked(requirement, tuple(f"--hash={one.strip()}" for one in hashes))
