"""All figures of one machine: what ``--json`` writes, and what the report and the comparison read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tests.bench.catch_up import CatchUp
from tests.bench.charging import Charges
from tests.bench.ingress import Ingresses
from tests.bench.latency import Latencies
from tests.bench.machine import Machine, Measured
from tests.bench.pipeline import Pipelines
from tests.bench.roles import Peaks
from tests.bench.scaling import Scaled
from tests.bench.settlement import Settled
from tests.bench.state import State
from tests.bench.tools import Tools
from tests.bench.tracing import Tracing
from tests.bench.verification import Verification


@dataclass(slots=True, kw_only=True)
class Figures:
    """A section that was not run is None."""

    machine: Machine
    measured: dict[str, Measured] = field(default_factory=dict)
    verification: list[Verification] | None = None
    ingress: Ingresses | None = None
    pipeline: Pipelines | None = None
    latency: Latencies | None = None
    catch_up: CatchUp | None = None
    charges: Charges | None = None
    settlement: Settled | None = None
    state: State | None = None
    tools: Tools | None = None
    scaling: list[Scaled] | None = None
    tracing: Tracing | None = None
    peaks: Peaks = field(default_factory=Peaks)

    def told(self) -> str:
        """Where they were measured."""
        here = self.machine
        return f"{here.cores} cores, {here.cpu}; Python {here.python}; Kafka {here.kafka}"

    def with_later(self, later: Figures) -> Figures:
        """These, with the sections that were measured later on the same machine in place of theirs."""
        sections = {name: getattr(later, name) for name in later.measured}
        peaks = Peaks({**self.peaks.bytes_by_run, **later.peaks.bytes_by_run})
        return replace(self, **sections, peaks=peaks, measured={**self.measured, **later.measured})


def write(figures: Figures, path: Path) -> None:
    """Write them as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")


def read(path: Path) -> Figures:
    """Read what `write` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Figures)
