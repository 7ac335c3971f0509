"""``python -m tests.bench``: cost, latency and memory on a real Kafka, side by side with peers in one run.

Exit code 0 whatever the figures are; 1 if something broke. A benchmark is no timed test.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from paynotify.sandbox.signals import ends_on_signal
from paynotify.schemas.errors import PaynotifyError
from tests.bench import compare, machine, report, tables
from tests.bench import figures as figures_file
from tests.bench.figures import Figures
from tests.bench.machine import Measured
from tests.bench.sections import SECTIONS, Run
from tests.bench.targets import table, targets
from tests.bench.text import plain


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections chosen, in order, and print as they end."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=SECTIONS, action="append", help="this section; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="of all amounts and times (default %(default)s)")
    parser.add_argument("--no-build", action="store_true", help="leave out a peer that is not built yet")
    parser.add_argument("--large", action="store_true", help="let scaling work off a backlog of 3,000,000 too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--report", action="store_true", help="put the sections into docs/explanation/performance.md and its figures"
    )
    parser.add_argument("--base", metavar="COMMIT", help="compare this commit with the files here, section by section")
    parser.add_argument("--rounds", type=int, default=1, help="of a comparison (default %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.scale <= 0 or arguments.rounds < 1:
        parser.error("--scale and --rounds must be more than 0")
    try:
        with ends_on_signal():
            return (_compare if arguments.base else _run)(arguments)
    except PaynotifyError as error:
        print(f"The bench broke off: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    figures = Figures(machine=machine.this_machine())
    run = Run(
        commit=machine.commit(),
        scale=arguments.scale,
        build=not arguments.no_build,
        large=arguments.large,
        peaks=figures.peaks,
    )
    _show(f"{figures.told()}; commit {run.commit}; scale {run.scale:g}")
    for name in arguments.only or SECTIONS:
        _measure(name, run, figures)
        if arguments.json:  # after each section: what is measured is not lost if a later one breaks off
            figures_file.write(figures, arguments.json)
    _show(plain(tables.memory(figures.peaks)))
    _show(plain(table(targets(figures))))
    _show(f"{time.monotonic() - began:.0f} s in all.")
    if arguments.report:
        report.publish(figures)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    comparison = compare.compare(arguments.base, arguments.only or tuple(SECTIONS), arguments.scale, arguments.rounds)
    _show(plain(compare.table(comparison)))
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")
    return 1 if comparison.failures else 0


def _measure(name: str, run: Run, figures: Figures) -> None:
    before = machine.load_average()
    result = SECTIONS[name].measure(run)
    setattr(figures, name, result)
    after = machine.load_average()
    figures.measured[name] = Measured(commit=run.commit, scale=run.scale, load_before=before, load_after=after)
    _show(
        f"{plain(SECTIONS[name].tell(result))}\n  Load average of the machine: {before:.1f} before, {after:.1f} after."
    )


def _show(text: str) -> None:
    print(f"{text}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
