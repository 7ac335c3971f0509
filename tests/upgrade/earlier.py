"""The code of an earlier release, from the repository's own history, and its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import yaml

from sandbox.processes import Child
from sandbox.system import Sandbox

#: The last release before payments were expected, compared and charged.
EARLIER: Final = "126b77e"

#: Keys under ``worker`` that a sandbox sets and that release has not.
_LATER: Final = ("overdue",)

_REPOSITORY: Final = Path(__file__).parents[2]


def export(commit: str, directory: Path) -> None:
    """Write the code as it was.

    Raises:
        subprocess.CalledProcessError: there is no such commit here.
    """
    archive = subprocess.run(
        ["git", "-C", str(_REPOSITORY), "archive", commit], capture_output=True, check=True, timeout=60
    )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")


def run(code: Path, name: str, arguments: Sequence[str], log: Path) -> Child:
    """A Python process that finds that code before any other."""
    environment = {**os.environ, "PYTHONPATH": str(code)}
    return Child(name, [sys.executable, *arguments], log, environment=environment, directory=code)


def _configuration(sandbox: Sandbox) -> Path:
    """The sandbox's configuration without what earlier releases did not know, as theirs had not."""
    document = yaml.safe_load(sandbox.config_path.read_text("utf-8"))
    for name in _LATER:
        document["worker"].pop(name, None)
    path = sandbox.config_path.with_name("earlier.yaml")
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def command(code: Path) -> str:
    """The module of that release's ``paynotify`` command."""
    return "ops.main" if (code / "ops" / "main.py").exists() else "ops.command"


def worker(sandbox: Sandbox, code: Path, number: int) -> Child:
    """Start the sandbox's worker of that number with that code, on its state."""
    arguments = ["--config", str(_configuration(sandbox)), "--management", "127.0.0.1:0"]
    arguments += ["--state-directory", str(sandbox.state_directory(number))]
    name = f"worker-{number}"
    return run(code, name, ["-m", command(code), "worker", *arguments], sandbox.logs / f"{name}.log")
