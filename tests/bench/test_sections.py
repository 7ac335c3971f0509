"""The bench at its smallest: every section finishes, and what it tells becomes the page. No speed is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.bench import plot
from tests.bench.figures import Figures, read
from tests.bench.measures import measures
from tests.bench.report import page
from tests.bench.sections import SECTIONS
from tests.bench.targets import targets

pytestmark = pytest.mark.kafka

ROOT: Final = Path(__file__).parents[2]
SCALE: Final = "0.002"

#: They choose Kafka's settings and measure its CPU. The others do without: a broker more takes seconds to start.
ON_OWN_KAFKA: Final = ("pipeline", "scaling")


def run(file: Path, sections: Sequence[str], environment: dict[str, str]) -> Figures:
    """Run these sections in a process of its own, and check what it has told of them."""
    only = [word for name in sections for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--scale", SCALE, "--no-build", "--json", str(file), *only],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    figures = read(file)
    assert {name for name in SECTIONS if getattr(figures, name) is not None} == set(sections)
    assert {name.partition(":")[0] for name in measures(figures)} == set(sections)
    for target in targets(figures):
        assert target.wanted in done.stdout
        assert target.wanted in page(figures)
    return figures


@pytest.fixture(scope="module")
def runs(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Future[Figures], Future[Figures]]]:
    """Of the sections on their own Kafka, and of the others: both at the same time, for much of it is waiting."""
    others = [name for name in SECTIONS if name not in ON_OWN_KAFKA]
    own = {name: value for name, value in os.environ.items() if name != "KAFKA"}
    folder = tmp_path_factory.mktemp("bench")
    with ThreadPoolExecutor(2) as pool:
        yield (
            pool.submit(run, folder / "own.json", ON_OWN_KAFKA, own),
            pool.submit(run, folder / "others.json", others, {**os.environ, "KAFKA": kafka}),
        )


def test_sections_on_their_own_kafka_finish_and_are_told(
    runs: tuple[Future[Figures], Future[Figures]], tmp_path: Path
) -> None:
    figures = runs[0].result()
    assert figures.pipeline
    assert all(one.total_microseconds for one in figures.pipeline.drained)
    assert figures.scaling
    plot.draw(figures.scaling, tmp_path / "scale.svg")


def test_other_sections_finish_and_are_told(runs: tuple[Future[Figures], Future[Figures]]) -> None:
    runs[1].result()
