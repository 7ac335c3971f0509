"""PostgreSQL's programs: the machine's own, else from Debian's packages, unpacked into the cache and not installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paynotify" / "postgres"

#: Beside the server's own package: libraries that few machines have. Other releases of Debian name some differently.
_LIBRARIES: Final = ("libpq5", "libllvm14", "libxml2", "libz3-4", "libldap-2.5-0", "libxslt1.1")


class MissingPostgresError(AssertionError):
    """PostgreSQL is missing; the text says how to get it."""


def program(name: str) -> str:
    """The path of ``initdb`` or ``postgres``. They are fetched if they are missing, and the test skipped where they
    can't be had.

    Raises:
        MissingPostgresError: there is none, in CI.
    """
    folder = _folder() or _fetched()
    if folder is None:
        text = "PostgreSQL can't be had. Install Debian's package postgresql, or let apt-get download it."
        if os.environ.get("CI"):
            raise MissingPostgresError(text)
        pytest.skip(text)
    return str(folder / name)


def psql() -> str:
    """The path of the client, which Debian packages apart from the server."""
    return shutil.which("psql") or program("psql")


@cache
def as_user() -> tuple[str, ...]:
    """What a command is prefixed with, so that it does not run as root, which PostgreSQL refuses.

    Its files stay root's: within a user namespace of its own, root is an ordinary user.
    """
    if os.geteuid() != 0:
        return ()
    prefix = ("unshare", "--map-user=1000", "--map-group=1000")
    if subprocess.run((*prefix, "true"), capture_output=True, check=False).returncode != 0:
        pytest.skip("PostgreSQL refuses to run as root, and there are no user namespaces: run the tests as a user")
    return prefix


def environment() -> dict[str, str]:
    """The environment in which the programs find their libraries; their messages are in English."""
    libraries = {str(one.parent) for one in CACHE.glob("usr/lib/**/*.so.*")}
    paths = {"LD_LIBRARY_PATH": ":".join(sorted(libraries))} if libraries else {}
    return {**os.environ, **paths, "LC_ALL": "C.UTF-8"}


def _folder() -> Path | None:
    """The newest version's programs; the machine's own come first."""
    for root in (Path("/"), CACHE):
        found = sorted(root.glob("usr/lib/postgresql/*/bin"), key=lambda one: float(one.parent.name), reverse=True)
        working = [one for one in found if (one / "initdb").exists() and _runs(one / "postgres")]
        if working:
            return working[0]
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _runs(path: Path) -> bool:
    try:
        return subprocess.run((path, "-V"), capture_output=True, env=environment(), timeout=30).returncode == 0
    except OSError:
        return False


@cache
def _fetched() -> Path | None:
    """Bring the programs of the machine's release of Debian into the cache."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            packages = _packages()
            if not packages:  # a new machine has no list of packages yet
                subprocess.run(("apt-get", "update", "-qq"), check=False, capture_output=True)
                packages = _packages()
            for package in (*packages, *_LIBRARIES):
                subprocess.run(("apt-get", "download", "-qq", package), cwd=folder, capture_output=True, check=False)
            CACHE.mkdir(parents=True, exist_ok=True)
            for file in Path(folder).glob("*.deb"):
                subprocess.run(("dpkg-deb", "-x", str(file), str(CACHE)), check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return _folder()


def _packages() -> tuple[str, ...]:
    """The server's and the client's package: ``postgresql`` only names the version of the release."""
    named = subprocess.run(("apt-cache", "depends", "postgresql"), capture_output=True, text=True, check=False)
    found = re.search(r"Depends: (postgresql-(\d+))$", named.stdout, re.MULTILINE)
    return (found[1], f"postgresql-client-{found[2]}") if found else ()
