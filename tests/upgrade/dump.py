"""What an earlier release has left behind: its records, and the state of one of its workers."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RECORDED: Final = Path(__file__).with_name("recorded")


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it lay on its topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def records(commit: str) -> list[Kept]:
    """All of them, by topic, partition and offset."""
    with gzip.open(RECORDED / commit / "topics.jsonl.gz", "rt", encoding="utf-8") as file:
        return [_kept(line) for line in file]


def unpack_state(commit: str, to: Path) -> None:
    """Put the worker's state directory there."""
    with tarfile.open(RECORDED / commit / "state.tar.gz") as files:
        for one in files.getmembers():
            one.name = one.name.removeprefix("state").lstrip("/") or "."
            files.extract(one, to, filter="data")


def _kept(line: str) -> Kept:
    one = json.loads(line)
    headers = tuple((name, _bytes(value) or b"") for name, value in one["headers"])
    return Kept(
        one["topic"],
        one["partition"],
        one["offset"],
        one["timestamp"],
        _bytes(one["key"]),
        _bytes(one["value"]),
        headers,
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
