"""Programs of Debian's packages, only unpacked into the cache: nothing is installed on the machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NoReturn

import pytest

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paynotify"


def update_lists() -> None:
    """Fetch the lists of packages, which a new machine has not; without root nothing changes."""
    subprocess.run(("apt-get", "update", "-qq"), check=False, capture_output=True)


def unpack(folder: Path, package: str, *others: str) -> str:
    """Bring a package into the folder, and of the others those that this release of Debian has.

    Returns what went wrong, if anything did.
    """
    with tempfile.TemporaryDirectory() as downloads:
        try:
            problem = _download(package, downloads)
            if problem:
                update_lists()
                problem = _download(package, downloads)
            for other in others:
                _download(other, downloads)
            folder.mkdir(parents=True, exist_ok=True)
            for file in Path(downloads).glob("*.deb"):
                subprocess.run(("dpkg-deb", "-x", str(file), str(folder)), check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{error}"
    return problem


def lacking(*packages: str) -> list[str]:
    """What else would have to be installed for the packages to work on this machine: libraries it has not."""
    command = ("apt-get", "install", "--simulate", "--no-install-recommends", "-qq", *packages)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return []
    words = (line.split() for line in done.stdout.splitlines())
    return sorted({line[1] for line in words if line[:1] == ["Inst"]} - {*packages})


def _download(package: str, folder: str) -> str:
    done = subprocess.run(("apt-get", "download", "-qq", package), cwd=folder, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip().replace("\n", " ")[-200:] or "apt-get failed"


def environment(folder: Path) -> dict[str, str]:
    """The environment in which the folder's programs find their libraries."""
    libraries = {str(one.parent) for top in ("usr/lib", "lib") for one in folder.glob(f"{top}/**/*.so*")}
    return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(sorted(libraries))} if libraries else {})}


def runs(folder: Path, path: str | Path, version_option: str) -> bool:
    """Whether the program starts on this machine, with the folder's libraries."""
    try:
        command = (path, version_option)
        return subprocess.run(command, capture_output=True, env=environment(folder), timeout=30).returncode == 0
    except OSError:
        return False


def skip(missing: AssertionError) -> NoReturn:
    """Skip the test for what is missing.

    Raises:
        AssertionError: the same, in CI.
    """
    if os.environ.get("CI"):
        raise missing
    pytest.skip(str(missing))
