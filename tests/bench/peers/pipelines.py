"""The peers of the pipeline: programs that bring the same notifications to a result, with fewer guarantees.

None of them has state, order, or durability between its steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox
from tests.bench.peers.benthos import process
from tests.bench.peers.benthos.program import NoBenthosError, program

PROVIDER: Final = "trustpayments"
BENTHOS_ONE_BY_ONE: Final = "Benthos, one call each"
BENTHOS_GATHERED: Final = "Benthos, 64 gathered"
NAIVE: Final = "naive Python"


@dataclass(frozen=True, slots=True)
class Peer:
    """``start`` is given the sandbox, the topic for the results (on the cluster) and the number of notifications."""

    name: str
    start: Callable[[Sandbox, str, int], Child]


@dataclass(frozen=True, slots=True)
class Peers:
    """Those that can run here, and a sentence about each that can't."""

    found: list[Peer]
    missing: list[str] = field(default_factory=list)


def peers(*, build: bool) -> Peers:
    """All that can run here; Benthos is built if it is missing and may be."""
    try:
        benthos = program(build=build)
    except NoBenthosError as error:
        return Peers([Peer(NAIVE, _naive)], [str(error)])
    return Peers(
        [
            Peer(BENTHOS_ONE_BY_ONE, _benthos(benthos, "one_by_one")),
            Peer(BENTHOS_GATHERED, _benthos(benthos, "gathered")),
            Peer(NAIVE, _naive),
        ]
    )


def _benthos(path: Path, pipeline: str) -> Callable[[Sandbox, str, int], Child]:
    return lambda sandbox, results, payments: process.start(sandbox, path, pipeline, results)


def _naive(sandbox: Sandbox, results: str, payments: int) -> Child:
    command = [sys.executable, "-m", "tests.bench.peers.naive", "--config", str(sandbox.config_path)]
    command += ["--provider", PROVIDER, "--topic", results, "--notifications", str(payments)]
    child = Child("peer-naive", command, sandbox.logs / "peer-naive.log")
    child.wait_for_event("worker_started")
    return child
