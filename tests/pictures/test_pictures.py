"""What stands between Prometheus' answers and the pictures; and that there is a picture of each dashboard."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures.__main__ import DASHBOARDS, EMPTY, PICTURES
from tests.pictures.dashboard import Answer, filled, named, read
from tests.pictures.picture import draw
from tests.pictures.prometheus import QueryError, Series, Span
from tests.pictures.units_of_measure import written

FILES = sorted(DASHBOARDS.glob("*.json"))
SPAN = Span(1_700_000_000.0, 1_700_000_240.0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_dashboard_is_understood_and_has_a_picture(file: Path) -> None:
    dashboard = read(file)
    variables = dict.fromkeys(dashboard.variables, "payments")
    assert not any("$" in filled(panel.query, variables) for panel in dashboard.panels)
    assert all(written(1.0, panel.unit) for panel in dashboard.panels)
    if file.stem in EMPTY:
        return
    picture = PICTURES / f"{dashboard.name}.png"
    assert picture.stat().st_size < 250_000, "run `make pictures`"


def test_variable_that_nobody_knows_is_an_error() -> None:
    assert filled('a{b="$b"}[${c}]', {"b": "1", "c": "5m"}) == 'a{b="1"}[5m]'
    with pytest.raises(QueryError):
        filled('a{b="$b"}', {})


def test_legend_has_the_labels_values() -> None:
    assert named("{{provider}} {{ outcome }}", {"provider": "nevogate", "outcome": "dead"}) == "nevogate dead"
    assert named("{{provider}} {{stage}}", {"provider": "nevogate"}) == "nevogate"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "short", "0"),
        (0.5, "short", "0.5"),
        (12.345, "short", "12.3"),
        (1234, "short", "1.23 K"),
        (0, "s", "0 s"),
        (0.0125, "s", "12.5 ms"),
        (90, "s", "1.5 min"),
        (7_776_000, "s", "12.9 weeks"),
        (-90, "s", "-1.5 min"),
        (0.25, "reqps", "0.25 req/s"),
        (0.3333, "percentunit", "33.3%"),
    ],
)
def test_values_are_written_in_their_unit(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_whatever_comes_back_is_drawn(file: Path, tmp_path: Path) -> None:
    dashboard = read(file)
    kinds = [
        [],
        [Series({}, [(SPAN.start, math.nan)])],
        [Series({"provider": "nevogate"}, [(SPAN.start, 0.0), (SPAN.end, 0.0)])],
        [Series({"provider": str(number)}, [(SPAN.start, math.nan), (SPAN.end, 10.0**number)]) for number in range(12)],
    ]
    answers = [Answer(panel, kinds[number % len(kinds)]) for number, panel in enumerate(dashboard.panels)]
    assert [one.empty for one in answers[:4]] == [True, True, False, False]
    answers[0] = replace(answers[0], error="parse error")
    draw(dashboard, answers, SPAN, tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.width == 1200
