"""``python -m tests.bench.report``: writes docs/explanation/performance.md from the figures of a run beside it.

``python -m tests.bench --report`` measures sections anew and writes both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.bench import plot
from tests.bench.figures import Figures, read, write
from tests.bench.sections import SECTIONS
from tests.bench.sizing import sizing
from tests.bench.targets import table, targets
from tests.bench.text import markdown

_DOCS: Final = Path(__file__).parents[2] / "docs" / "explanation"
PAGE: Final = _DOCS / "performance.md"
FIGURES: Final = _DOCS / "performance" / "figures.json"
_PLOT: Final = _DOCS / "performance" / "scale.svg"

_HEAD: Final = """# Performance

`python -m tests.bench --report` writes this page from [its figures](performance/figures.json): one machine, all
processes on the same cores, each section in one run with its peer beside it. Each section says its commit, its scale
and the machine's load average. The scale is the part of all amounts and times that was measured; other work of the
machine shows in the load average. Compare ratios rather than runs: a peer met the same machine. `make bench` measures
yours, and `make bench BASE=commit` two commits in turns. Hours under load and with faults are on the page
[endurance](endurance.md)."""


def page(figures: Figures) -> str:
    """The page, of every section that was run."""
    parts = [_HEAD, f"Measured on: {figures.told()}.", markdown(table(targets(figures)))]
    for name, section in SECTIONS.items():
        result = getattr(figures, name)
        if result is not None:
            parts += [markdown(section.tell(result)), *_beside(name, figures)]
    on_paper = sizing(figures)
    return "\n\n".join((*parts, *([markdown(on_paper)] if on_paper else []))) + "\n"


def _beside(name: str, figures: Figures) -> list[str]:
    drawn = "![CPU and rate over workers, partitions and backlog](performance/scale.svg)"
    how = figures.measured[name]
    said = (
        f"Commit {how.commit}, scale {how.scale:g}. "
        f"Load average: {how.load_before:.1f} before, {how.load_after:.1f} after."
    )
    return [drawn, said] if name == "scaling" else [said]


def publish(later: Figures) -> None:
    """Write the figures, the plot and the page. Sections that were not measured again stay, of the same machine."""
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    earlier = read(FIGURES) if FIGURES.exists() else later
    figures = earlier.with_later(later) if earlier.machine == later.machine else later
    write(figures, FIGURES)
    if figures.scaling:
        plot.draw(figures.scaling, _PLOT)
    PAGE.write_text(page(figures), "utf-8")


if __name__ == "__main__":
    publish(read(FIGURES))
