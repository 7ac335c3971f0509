"""``python -m tests.bench``: cost, latency and memory on a real Kafka, side by side with peers in one run.

Exit code 0 whatever the figures are; 1 if something broke. A benchmark is no timed test.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from sandbox.signals import ends_on_signal
from schemas.errors import PaynotifyError
from tests.bench import (
    charging,
    ingress,
    latency,
    machine,
    pipeline,
    settlement,
    state,
    tables,
    targets,
    tools,
    verification,
)
from tests.bench.roles import Peaks
from tests.bench.targets import Target

_SECTIONS: Final = (
    "verification",
    "ingress",
    "pipeline",
    "latency",
    "charges",
    "settlement",
    "memory",
    "state",
    "tools",
)


@dataclass(slots=True)
class Run:
    """What was measured so far. ``figures`` is what ``--json`` writes."""

    scale: float
    peaks: Peaks = field(default_factory=Peaks)
    reached: list[Target] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    pipelines: pipeline.Pipelines | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections chosen, in order, and print as they end."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=_SECTIONS, help="one section; memory fills the state and nothing else")
    parser.add_argument("--scale", type=float, default=1.0, help="of all amounts and times (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args(argv)
    if arguments.scale <= 0:
        parser.error("--scale must be more than 0")
    began = time.monotonic()
    here = machine.this_machine()
    _show(
        f"{here.cores} cores, {here.cpu}; Python {here.python}; Kafka {here.kafka}; commit {here.commit}; "
        f"scale {arguments.scale:g}"
    )
    run = Run(arguments.scale, figures={"machine": here, "scale": arguments.scale})
    try:
        with ends_on_signal():
            for name, section in _SECTION.items():
                if arguments.only in (None, name):
                    _measure(name, section, run)
    except PaynotifyError as error:
        print(f"The bench broke off: {error}", file=sys.stderr)
        return 1
    _show("Targets\n" + tables.table(("", "measured", "reached"), targets.lines(run.reached)))
    _show(f"{time.monotonic() - began:.0f} s in all.")
    if arguments.json:
        run.figures |= {"targets": run.reached, "peak_rss_bytes": run.peaks.bytes_by_run}
        arguments.json.write_bytes(orjson.dumps(run.figures, option=orjson.OPT_INDENT_2))
    return 0


def _measure(name: str, section: Callable[[Run], str], run: Run) -> None:
    before = machine.load_average()
    text = section(run)
    after = machine.load_average()
    run.figures.setdefault("load_average", {})[name] = {"before": before, "after": after}
    _show(f"{text}\n  Load average of the machine: {before:.1f} before, {after:.1f} after.")


def _verification(run: Run) -> str:
    result = run.figures["verification"] = verification.measure(run.scale)
    run.reached += targets.of_verification(result)
    return tables.verification(result)


def _ingress(run: Run) -> str:
    result = ingress.measure(run.scale, run.peaks)
    run.figures["ingress"] = result
    run.reached += targets.of_ingress(result)
    return tables.ingress(result)


def _pipeline(run: Run) -> str:
    run.pipelines = run.figures["pipeline"] = pipeline.measure(run.scale, run.peaks)
    run.reached += targets.of_pipeline(run.pipelines)
    return tables.pipeline(run.pipelines)


def _latency(run: Run) -> str:
    result = latency.measure(run.scale, run.peaks)
    run.figures["latency"] = result
    run.reached += targets.of_latency(result)
    return tables.latency(result)


def _charges(run: Run) -> str:
    result = run.figures["charges"] = charging.measure(run.scale, run.peaks)
    return tables.charges(result)


def _settlement(run: Run) -> str:
    result = run.figures["settlement"] = settlement.measure(run.scale, run.peaks)
    run.reached += targets.of_settlement(result)
    return tables.settlement(result)


def _memory(run: Run) -> str:
    """In a whole run the pipeline has filled the state already."""
    if run.pipelines is None:
        run.pipelines = run.figures["pipeline"] = pipeline.measure(run.scale, run.peaks, only_memory=True)
    run.reached += targets.of_memory(run.pipelines)
    return tables.memory(run.peaks, run.pipelines)


def _state(run: Run) -> str:
    result = run.figures["state"] = state.measure(run.scale, run.peaks)
    run.reached += targets.of_state(result)
    return tables.state(result)


def _tools(run: Run) -> str:
    result = run.figures["tools"] = tools.measure(run.scale)
    run.reached += targets.of_tools(result)
    return tables.tools(result)


_SECTION: Final = {
    "verification": _verification,
    "ingress": _ingress,
    "pipeline": _pipeline,
    "latency": _latency,
    "charges": _charges,
    "settlement": _settlement,
    "memory": _memory,
    "state": _state,
    "tools": _tools,
}


def _show(text: str) -> None:
    print(f"{text}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
