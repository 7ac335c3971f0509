"""The page on performance is what its figures say."""

from __future__ import annotations

from tests.bench.figures import read
from tests.bench.report import FIGURES, PAGE, page


def test_page_is_generated_from_its_figures() -> None:
    assert PAGE.read_text("utf-8") == page(read(FIGURES)), "run python -m tests.bench.report"
