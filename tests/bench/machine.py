"""Where, with what and how a section was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from paynotify.sandbox.kafka_distribution import KAFKA_VERSION
from tests.bench import procfs


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Hardware and versions."""

    cores: int
    cpu: str
    python: str
    kafka: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How a section was measured: the state of the code, the part of all amounts and times, and the machine's load."""

    commit: str
    scale: float
    load_before: float
    load_after: float


def this_machine() -> Machine:
    """The machine this runs on."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=procfs.cpu_model(),
        python=platform.python_version(),
        kafka=f"existing cluster {os.environ['KAFKA']}" if os.environ.get("KAFKA") else KAFKA_VERSION,
    )


def load_average() -> float:
    """Of the last minute: what else the machine did counts too."""
    return os.getloadavg()[0]


def commit() -> str:
    """The commit of the files here, and whether they differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
