"""The samples of a soak as one picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")  # no display is needed
from matplotlib import pyplot

from tests.soak.samples import Sample

_MEBIBYTE: Final = 1024 * 1024
_PANELS: Final = (
    ("rss_bytes", "memory, MiB", _MEBIBYTE, "process"),
    ("open_files", "open files", 1, "process"),
    ("threads", "threads", 1, "process"),
    ("disk_bytes", "RocksDB, MiB", _MEBIBYTE, "worker"),
    ("disk_bytes", "topics, MiB", _MEBIBYTE, "topic"),
)
_LARGEST_TOPICS: Final = 8


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """One panel for each measure, over minutes."""
    figure, panels = pyplot.subplots(len(_PANELS), 1, figsize=(10, 3 * len(_PANELS)), sharex=True, layout="constrained")
    figure.suptitle(title, fontsize=9)
    for panel, (measure, label, unit, kind) in zip(panels, _PANELS, strict=True):
        series: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for one in samples:
            if _is_of(one.subject, kind):
                series[one.subject].append((one.seconds / 60, getattr(one, measure) / unit))
        for subject in sorted(series, key=lambda name: -series[name][-1][1])[
            : _LARGEST_TOPICS if kind == "topic" else None
        ]:
            panel.plot(*zip(*series[subject], strict=True), label=subject.removeprefix("topic "), linewidth=1)
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    panels[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _is_of(subject: str, kind: str) -> bool:
    return subject.startswith(kind) if kind != "process" else not subject.startswith("topic ")
