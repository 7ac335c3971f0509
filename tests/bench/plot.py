"""The figures of the section on scale, drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mode

import matplotlib as mpl

mpl.use("Agg")  # no display is needed
from matplotlib import pyplot

from tests.bench.scaling import Scaled


@dataclass(frozen=True, slots=True)
class _View:
    """What is varied. Of the others, ``includes`` chooses the runs that have the usual values."""

    label: str
    base: int
    value: Callable[[Scaled], int]
    includes: Callable[[Scaled], bool]


def _views(usual: int) -> tuple[_View, ...]:
    """``usual`` is the backlog of most runs."""
    return (
        _View(
            "workers (16 partitions)",
            2,
            lambda one: one.drained.workers,
            lambda one: one.partitions == 16 and one.drained.payments == usual,
        ),
        _View(
            "partitions (1 worker)",
            2,
            lambda one: one.partitions,
            lambda one: one.drained.workers == 1 and one.drained.payments == usual,
        ),
        _View(
            "backlog (1 worker, above 100,000 with 2)",
            10,
            lambda one: one.drained.payments,
            lambda one: one.partitions == 4 or one.drained.payments > usual,
        ),
    )


def draw(scaled: Sequence[Scaled], path: Path) -> None:
    """CPU of a notification, and the rate, over workers, partitions and backlog, as SVG."""
    # the same figures make the same file; text stays text
    mpl.rcParams.update({"svg.hashsalt": "paynotify", "svg.fonttype": "none"})
    views = _views(mode(one.drained.payments for one in scaled))
    figure, panels = pyplot.subplots(2, len(views), figsize=(11, 6), sharey="row", layout="constrained")
    for column, view in enumerate(views):
        chosen = sorted((one for one in scaled if view.includes(one)), key=view.value)
        at = [view.value(one) for one in chosen]
        cpu, rate = panels[0][column], panels[1][column]
        cpu.plot(at, [one.drained.process_microseconds for one in chosen], marker="o", label="workers")
        cpu.plot(at, [one.drained.total_microseconds or 0 for one in chosen], marker="o", label="with Kafka")
        rate.plot(at, [one.drained.payments_per_second for one in chosen], marker="o")
        for panel in (cpu, rate):
            if at:
                panel.set_xscale("log", base=view.base)
                panel.set_xticks(at, [f"{one:,}" for one in at])
                panel.minorticks_off()
            panel.grid(alpha=0.3)
        rate.set_xlabel(view.label)
    for row in panels:
        row[0].set_ylim(bottom=0)  # of all panels of the row, when all are drawn
    panels[0][0].set_ylabel("CPU us a notification")
    panels[1][0].set_ylabel("notifications/s")
    panels[0][0].legend(fontsize=8)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
