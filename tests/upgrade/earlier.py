"""The code of an earlier release, from the repository's own history, and its processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import yaml

from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.configuration.renamed_keys import RENAMED_KEYS

#: The last release before payments were expected, compared and charged.
EARLIER: Final = "126b77e"

#: What a process of any release logs when its management port is open.
LISTENING: Final = ("management_listening", "management port open")

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


def configuration(document: dict[str, Any], code: Path) -> dict[str, Any]:
    """The configuration with the key names of that release, and without the ``worker`` keys that it does not know."""
    text = "\n".join(file.read_text("utf-8") for file in (code / "schemas").rglob("*.py"))
    translated = copy.deepcopy(document)
    for old, new in RENAMED_KEYS.items():
        *path, old_key = old.split(".")
        if _is_key(old_key, text) and not _is_key(new.split(".", maxsplit=1)[0], text):
            for section in _sections(translated, path):
                _rename(section, new.split("."), old_key)
    worker = translated.get("worker", {})
    for key in [one for one in worker if not _is_key(one, text)]:
        del worker[key]
    return translated


def _is_key(name: str, text: str) -> bool:
    return f"\n    {name}: " in text


def _sections(document: Any, path: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every section at that place; ``merchants`` is a list of them."""
    if isinstance(document, list):
        for one in document:
            yield from _sections(one, path)
    elif not path:
        yield document
    elif path[0] in document:
        yield from _sections(document[path[0]], path[1:])


def _rename(section: dict[str, Any], new: Sequence[str], old_key: str) -> None:
    value = section.pop(new[0], None)
    for step in new[1:]:
        value = value.get(step) if value is not None else None
    if value is not None:
        section[old_key] = value


def _write_configuration(sandbox: Sandbox, code: Path) -> Path:
    path = sandbox.config_path.with_name("earlier.yaml")
    document = yaml.safe_load(sandbox.config_path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(configuration(document, code)), "utf-8")
    return path


def command(code: Path) -> str:
    """The module of that release's ``paynotify`` command."""
    modules = {"paynotify/ops/main.py": "paynotify.ops.main", "ops/main.py": "ops.main"}
    return next((module for file, module in modules.items() if (code / file).exists()), "ops.command")


def worker(sandbox: Sandbox, code: Path, number: int) -> Child:
    """Start the sandbox's worker of that number with that code, on its state."""
    arguments = ["--config", str(_write_configuration(sandbox, code)), "--management", "127.0.0.1:0"]
    arguments += ["--state-directory", str(sandbox.state_directory(number))]
    name = f"worker-{number}"
    return run(code, name, ["-m", command(code), "worker", *arguments], sandbox.logs / f"{name}.log")
