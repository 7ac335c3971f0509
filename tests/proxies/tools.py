"""Real proxies: NGINX and HAProxy in front of the ingress, Tinyproxy on the way out, from Debian's packages.

They are only unpacked into the cache: nothing is installed on the machine. A machine's own are used where the packages
can't be had. Without either their tests are skipped and say so, but never in CI.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
from typing import Final

from tests import debian_packages

CACHE: Final = debian_packages.CACHE / "proxies"

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
    return debian_packages.environment(CACHE)


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
            debian_packages.skip(MissingProxyError(text))
    return path


@cache
def _found(name: str) -> str | None:
    own = [str(CACHE / "usr" / folder) for folder in ("sbin", "bin")]
    folders = os.pathsep.join((*own, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=folders)
    return found if found is not None and debian_packages.runs(CACHE, found, "-v") else None


def fetch(name: str) -> str:
    """Bring the program into the cache; returns what went wrong, if anything did."""
    _found.cache_clear()
    return debian_packages.unpack(CACHE, *PACKAGES[name]) or "it does not start on this machine"


if __name__ == "__main__":
    for name in PACKAGES:
        if _found(name) is None:
            problem = fetch(name)
            if _found(name) is None:
                print(f"{name} can't be had ({problem}): tests that need it are skipped", file=sys.stderr)
