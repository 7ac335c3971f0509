"""The sections of the bench in their order: how each is measured, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.bench import (
    catch_up,
    charging,
    ingress,
    latency,
    pipeline,
    scaling,
    settlement,
    state,
    tables,
    tools,
    tracing,
    verification,
)
from tests.bench.figures import Figures
from tests.bench.roles import Peaks
from tests.bench.text import Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``commit`` names the state of the code, ``scale`` is of all amounts and times. With ``build`` a missing peer is
    built, with ``large`` millions are worked off.
    """

    commit: str
    scale: float
    build: bool
    large: bool
    peaks: Peaks


@dataclass(frozen=True, slots=True)
class Section:
    """``measure`` returns what the figures keep under the section's name."""

    measure: Callable[[Run], Any]
    tell: Callable[[Any], Passage]


SECTIONS: Final[Mapping[str, Section]] = {
    "verification": Section(lambda run: verification.measure(run.scale), tables.verification),
    "ingress": Section(lambda run: ingress.measure(run.scale, run.peaks), tables.ingress),
    "tracing": Section(lambda run: tracing.measure(run.scale, run.peaks), tables.tracing),
    "pipeline": Section(lambda run: pipeline.measure(run.scale, run.peaks, build=run.build), tables.pipeline),
    "latency": Section(lambda run: latency.measure(run.scale, run.peaks), tables.latency),
    "catch_up": Section(lambda run: catch_up.measure(run.scale, run.peaks), tables.catch_up),
    "charges": Section(lambda run: charging.measure(run.scale, run.peaks), tables.charges),
    "settlement": Section(lambda run: settlement.measure(run.scale, run.peaks), tables.settlement),
    "state": Section(lambda run: state.measure(run.scale, run.peaks), tables.state),
    "tools": Section(lambda run: tools.measure(run.scale), tables.tools),
    "scaling": Section(lambda run: scaling.measure(run.scale, run.peaks, large=run.large), tables.scaling),
}


def passages(figures: Figures) -> list[Passage]:
    """What is told of every section that was run."""
    return [
        section.tell(getattr(figures, name)) for name, section in SECTIONS.items() if getattr(figures, name) is not None
    ]
