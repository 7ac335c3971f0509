"""PostgreSQL's programs: the machine's own, else from Debian's packages, unpacked into the cache and not installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests import debian_packages

CACHE: Final = debian_packages.CACHE / "postgres"

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
        debian_packages.skip(MissingPostgresError(text))
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
    return {**debian_packages.environment(CACHE), "LC_ALL": "C.UTF-8"}


def _folder() -> Path | None:
    """The newest version's programs; the machine's own come first."""
    for root in (Path("/"), CACHE):
        found = sorted(root.glob("usr/lib/postgresql/*/bin"), key=lambda one: float(one.parent.name), reverse=True)
        working = [
            one for one in found if (one / "initdb").exists() and debian_packages.runs(CACHE, one / "postgres", "-V")
        ]
        if working:
            return working[0]
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@cache
def _fetched() -> Path | None:
    """Bring the programs of the machine's release of Debian into the cache."""
    try:
        packages = _packages()
        if not packages:
            debian_packages.update_lists()
            packages = _packages()
    except OSError:
        return None
    if packages:
        debian_packages.unpack(CACHE, *packages, *_LIBRARIES)
    return _folder()


def _packages() -> tuple[str, ...]:
    """The server's and the client's package: ``postgresql`` only names the version of the release."""
    named = subprocess.run(("apt-cache", "depends", "postgresql"), capture_output=True, text=True, check=False)
    found = re.search(r"Depends: (postgresql-(\d+))$", named.stdout, re.MULTILINE)
    return (found[1], f"postgresql-client-{found[2]}") if found else ()
