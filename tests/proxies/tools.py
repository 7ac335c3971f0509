"""Real proxies: NGINX and HAProxy in front of the ingress, Tinyproxy on the way out, from Debian's packages.

They are only unpacked into the cache: nothing is installed on the machine. A machine's own are used where the packages
can't be had. Without either their tests are skipped and say so, but never in CI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paynotify" / "proxies"

#: The programs, and Debian's packages of each: its own and those of libraries that few machines have.
PACKAGES: Final = {
    "nginx": ("nginx",),
    "tinyproxy": ("tinyproxy-bin",),
    "haproxy": ("haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1"),
}


class MissingProxyError(AssertionError):
    """A proxy is missing; the text says how to get it."""


def environment() -> dict[str, str]:
    """The environment in which the programs of the cache find their libraries."""
    libraries = {str(one.parent) for one in CACHE.glob("usr/lib/**/*.so.*")}
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def found(name: str) -> str | None:
    """The path of the program, fetched if it is missing; None where it can't be had."""
    if _found(name) is None:
        fetch(name)
    return _found(name)


def proxy(name: str) -> str:
    """The path of the program. It is fetched if it is missing, and the test skipped where there is none.

    Raises:
        MissingProxyError: there is none, in CI.
    """
    path = _found(name)
    if path is None:
        problem = fetch(name)
        path = _found(name)
        if path is None:
            text = f"{name} can't be had: {problem}. Install Debian's package {name}, or let apt-get download it."
            if os.environ.get("CI"):
                raise MissingProxyError(text)
            pytest.skip(text)
    return path


@cache
def _found(name: str) -> str | None:
    own = [str(CACHE / "usr" / folder) for folder in ("sbin", "bin")]
    folders = os.pathsep.join((*own, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=folders)
    return found if found is not None and _runs(found) else None


def _runs(path: str) -> bool:
    try:
        return subprocess.run((path, "-v"), capture_output=True, env=environment(), timeout=30).returncode == 0
    except OSError:
        return False


def fetch(name: str) -> str:
    """Bring the program into the cache; returns what went wrong, if anything did."""
    _found.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        try:
            # a new machine has no list of packages yet; without root the second try is as good as the first
            problem = _download(PACKAGES[name][0], folder)
            if problem:
                subprocess.run(("apt-get", "update", "-qq"), check=False, capture_output=True)
                problem = _download(PACKAGES[name][0], folder)
            for library in PACKAGES[name][1:]:
                _download(library, folder)  # other releases of Debian have others, and _runs tells what counts
            CACHE.mkdir(parents=True, exist_ok=True)
            for file in Path(folder).glob("*.deb"):
                subprocess.run(("dpkg-deb", "-x", str(file), str(CACHE)), check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{error}"
    return problem or "it does not start on this machine"


def _download(package: str, folder: str) -> str:
    done = subprocess.run(("apt-get", "download", "-qq", package), cwd=folder, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip().replace("\n", " ")[-200:] or "apt-get failed"


if __name__ == "__main__":
    for name in PACKAGES:
        if _found(name) is None:
            problem = fetch(name)
            if _found(name) is None:
                print(f"{name} can't be had ({problem}): tests that need it are skipped", file=sys.stderr)
