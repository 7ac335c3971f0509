"""Benthos as a program: built once from the Go module proxy, by the checksums of go.sum, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from paynotify.sandbox.kafka_distribution import cache_directory

VERSION: Final = "4.27.0"
FOLDER: Final = Path(__file__).parent
_SOURCES: Final = ("go.mod", "go.sum", "main.go")
_BUILD_SECONDS: Final = 1800


class NoBenthosError(Exception):
    """There is no program; the text is a sentence that says why."""


def program(*, build: bool) -> Path:
    """The program's path; it is built if it is missing and may be.

    Raises:
        NoBenthosError: it is missing, and was not or could not be built.
    """
    path = _path()
    if not path.exists():
        if not build:
            raise NoBenthosError("Benthos is not measured: it is not built yet, and this run builds nothing.")
        _build(path)
    return path


def _path() -> Path:
    digest = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in _SOURCES)).hexdigest()
    return cache_directory() / f"benthos-{VERSION}-{digest[:12]}"


def _build(target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise NoBenthosError("Benthos is not measured: building it needs Go 1.21 or newer, and go is not on the PATH.")
    print(f"Building Benthos {VERSION}, once: some minutes.", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(part), "."]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoBenthosError(f"Benthos is not measured: go did not build it within {_BUILD_SECONDS} s.") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-300:]
        raise NoBenthosError(f"Benthos is not measured: go could not build it. It said: {said}")
    part.replace(target)
