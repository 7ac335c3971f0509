"""``python -m tests.soak``: half the peak for hours; what grows, and whether everything accepted became its result.

Writes ``samples.csv``, ``soak.png`` and ``report.md``. Exit code 0 if everything was accounted for and no process
ended; 1 if not; 2 if the run failed to start. Growth is stated, not judged.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from paynotify.sandbox.signals import ends_on_signal
from paynotify.schemas.errors import PaynotifyError
from tests.bench.machine import commit, this_machine
from tests.soak.plot import draw
from tests.soak.run import Order, Outcome, carry_out
from tests.soak.samples import Growth, write

_THINNED_SECONDS: Final = 120.0
_LISTED: Final = 10
_MEBIBYTE: Final = 1024 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the report, write it beside the samples."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default %(default)g)")
    parser.add_argument("--seed", type=int, help="of load and simulators; a new one, if not given")
    parser.add_argument("--share", type=float, default=0.5, help="of the peak (default %(default)g)")
    parser.add_argument("--rate", type=float, metavar="PAYMENTS", help="a second, instead of a share of the peak")
    parser.add_argument(
        "--out", type=Path, default=Path("build/soak"), metavar="DIRECTORY", help="(default %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if arguments.hours <= 0 or arguments.share <= 0:
        parser.error("--hours and --share must be more than 0")
    order = Order(
        hours=arguments.hours,
        seed=random.randrange(2**31) if arguments.seed is None else arguments.seed,
        directory=arguments.out.resolve(),
        share_of_peak=arguments.share,
        rate=arguments.rate,
    )
    try:
        with ends_on_signal():
            outcome = carry_out(order, lambda text: print(text, file=sys.stderr, flush=True))
    except PaynotifyError as error:
        print(f"The soak of seed {order.seed} failed to start: {error}", file=sys.stderr)
        return 2
    report = text(order, outcome)
    write(outcome.samples, order.directory / "samples-all.csv")
    write(outcome.samples, order.directory / "samples.csv", at_least_seconds=_THINNED_SECONDS)
    draw(outcome.samples, _title(order, outcome), order.directory / "soak.png")
    (order.directory / "report.md").write_text(report + "\n", "utf-8")
    print(report)
    return 0 if outcome.right else 1


def _title(order: Order, outcome: Outcome) -> str:
    return f"{order.hours:g} h at {outcome.rate:.0f} payments/s, seed {order.seed}, commit {commit()}"


def text(order: Order, outcome: Outcome) -> str:
    """The report, as Markdown."""
    here, count, loads = this_machine(), outcome.count, outcome.loads
    peak = f"Peak measured before: {outcome.peak:.0f} results/s. " if outcome.peak else ""
    lines = [
        f"{order.hours:g} h, seed {order.seed}, commit {commit()}, {here.cores} cores ({here.cpu}), "
        f"Python {here.python}, Kafka {here.kafka}; load average of a minute {min(loads):.1f} to {max(loads):.1f}, "
        f"mean {sum(loads) / len(loads):.1f}.",
        "",
        f"{peak}Load: {outcome.rate:.1f} payments/s; it was at most {outcome.behind_seconds:.1f} s behind.",
        "",
        f"{count.accepted} notifications accepted of {count.payments} payments, {count.events} events, "
        f"{count.repeats} repeated records, {count.rejected} rejected, {count.dead} dead; counted "
        f"{count.seconds:g} s after the end.",
        "",
        "| must be 0 | |",
        "| --- | --- |",
        *(f"| {name} | {len(cases)} |" for name, cases in count.wrong.items()),
        f"| processes that ended | {len(outcome.ended)} |",
        "",
        "| after the warm-up | at its begin | at the end | slope per hour |",
        "| --- | --- | --- | --- |",
        *(_row(one) for one in outcome.growths),
    ]
    lines += [f"WRONG: {case}" for cases in (*count.wrong.values(), outcome.ended) for case in cases[:_LISTED]]
    return "\n".join(lines)


def _row(one: Growth) -> str:
    unit, name = (_MEBIBYTE, one.measure.replace("_bytes", ", MiB")) if "bytes" in one.measure else (1, one.measure)
    first, last, slope = (value / unit for value in (one.first, one.last, one.slope_per_hour))
    return f"| {one.subject}: {name.replace('_', ' ')} | {first:.1f} | {last:.1f} | {slope:+.1f} |"


if __name__ == "__main__":
    sys.exit(main())
