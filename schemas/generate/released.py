"""The contract of the last release, and what today's would break of it.

``python -m paynotify.schemas.generate.released`` compares; it ends with 1 if something breaks. With ``--keep`` today's
contract becomes that of the release. It refuses one that breaks something, or changed and has the same version.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from paynotify.schemas.generate import json_schema
from paynotify.schemas.generate.contract_changes import asyncapi_changes, openapi_changes
from paynotify.schemas.generate.json_schema import VERSION, documents

FOLDER: Final = Path(__file__).parents[1] / "released"

_COMPARED: Final[Mapping[str, Callable[[Any, Any], Iterator[str]]]] = {
    "asyncapi.json": asyncapi_changes,
    "asyncapi-internal.json": asyncapi_changes,
    "openapi.json": openapi_changes,
    "openapi-console.json": openapi_changes,
}


def breaking_changes(folder: Path) -> list[str]:
    """What today's contract breaks of the released one, each with its document."""
    changes = [
        f"{name}: {change}" for name, before, after in _releases(folder) for change in _COMPARED[name](before, after)
    ]
    return list(dict.fromkeys(changes))  # a stage reads what another one writes: both would miss the same


def keep(folder: Path) -> None:
    """Make today's contract that of the release."""
    folder.mkdir(exist_ok=True)
    today = documents()
    for name in _COMPARED:
        (folder / name).write_bytes(
            orjson.dumps(orjson.loads(today[name])) + b"\n"
        )  # for the comparison, not to be read


def version_problem(folder: Path) -> str | None:
    """Why today's contract can't be kept under its version: another one has it."""
    for name, before, after in _releases(folder):
        if before != after and before["info"]["version"] == after["info"]["version"]:
            return f"{name} has changed, and its version is {VERSION} as before. Raise it in {json_schema.__name__}."
    return None


def _releases(folder: Path) -> Iterator[tuple[str, Any, Any]]:
    """Each document's name, as it was released and as it is today. One that is new breaks nobody, and is left out."""
    today = documents()
    for name in _COMPARED:
        if (folder / name).exists():
            yield name, orjson.loads((folder / name).read_bytes()), orjson.loads(today[name])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m paynotify.schemas.generate.released", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="make today's contract that of the release")
    options = parser.parse_args(arguments)
    changes = breaking_changes(FOLDER) if FOLDER.exists() else []
    for change in changes:
        sys.stderr.write(f"{change}\n")
    if changes:
        sys.stderr.write("Add instead of changing: see docs/reference/contract.md.\n")
        return 1
    if not options.keep:
        return 0
    problem = version_problem(FOLDER) if FOLDER.exists() else None
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        return 1
    keep(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
