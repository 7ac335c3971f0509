"""Builds wheels and source distributions that have the same bytes wherever and whenever a commit is built.

What differs between two builds is the time, the owner and the mode of files, and the order in a folder. Sources come
from the commit alone, with modes of their own. The wheel is built from the source distribution, so that this is known
to be complete.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: The folders of the distributions within the project.
PROJECTS: Final = (".", "sandbox")

_SECONDS: Final = 600
_UMASK: Final = 0o022


class BuildError(Exception):
    """A distribution could not be built, or not without a warning; the text is the build backend's."""


def commit_time(repository: Path) -> int:
    """The seconds since 1970 when the commit was made: the time of all files that are built from it."""
    command = ("git", "-C", str(repository), "log", "-1", "--format=%ct")
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def export(repository: Path, target: Path) -> None:
    """Write the files of the commit that is checked out into a new folder, without what is not committed."""
    command = ("git", "-C", str(repository), "-c", f"tar.umask={_UMASK:03o}", "archive", "--format=tar", "HEAD")
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(target, filter="tar")


def build(source: Path, target: Path, time: int) -> tuple[Path, ...]:
    """Build each project's source distribution, and its wheel from that.

    Raises:
        BuildError: a build failed, or warned of something.
    """
    target.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for project in PROJECTS:
        archive = _built("build_sdist", source / project, target, time)
        _normalise(archive, time)
        unpacked = target / f".{archive.stem}"
        with tarfile.open(archive) as files:
            files.extractall(unpacked, filter="tar")
        (folder,) = unpacked.iterdir()
        made += [archive, _built("build_wheel", folder, target, time)]
        shutil.rmtree(unpacked)
    return tuple(made)


def _built(hook: str, project: Path, target: Path, time: int) -> Path:
    """Call the build backend, as pip and `build` do, in a process of its own: it changes folders and globals."""
    call = f"import setuptools.build_meta as backend; print(backend.{hook}({str(target.resolve())!r}))"
    done = subprocess.run(
        (sys.executable, "-c", call),
        cwd=project,
        env=_environment(time),
        umask=_UMASK,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    # what the backend warns of is lost among the files it lists, so it would never be seen
    if done.returncode != 0 or "Warning" in done.stderr:
        raise BuildError(f"{hook} of {project.name}: {done.stderr.strip()}")
    return target / done.stdout.splitlines()[-1]


def _environment(time: int) -> Mapping[str, str]:
    # an order of a set in a file's text would be another in each process
    return {**os.environ, "SOURCE_DATE_EPOCH": str(time), "PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def _normalise(archive: Path, time: int) -> None:
    """Give the archive's files one time, one owner, plain modes and an order: setuptools takes them from the disk."""
    with tarfile.open(archive) as files:
        members = [(_plain(one, time), _content(files, one)) for one in files.getmembers()]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as files:
        for member, content in sorted(members, key=lambda one: one[0].name):
            files.addfile(member, content)
    # no name and no time of its own in the header
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=time))


def _plain(member: tarfile.TarInfo, time: int) -> tarfile.TarInfo:
    executable = member.isdir() or bool(member.mode & 0o100)
    plain = member.replace(mtime=time, mode=0o755 if executable else 0o644, uid=0, gid=0, uname="", gname="")
    plain.pax_headers = {}  # the time again, with its fraction
    return plain


def _content(files: tarfile.TarFile, member: tarfile.TarInfo) -> io.BytesIO | None:
    content = files.extractfile(member)
    return None if content is None else io.BytesIO(content.read())
