"""The shape of the product's code: module sizes and type names that are used once."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("schemas", "service", "ingest", "processors", "deliver", "ops", "sandbox")
MAX_LINES: Final = 350
MAX_MEDIAN_LINES: Final = 120


def _modules() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_modules_have_at_most_350_lines() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in _modules()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    assert statistics.median(lines.values()) <= MAX_MEDIAN_LINES


def test_class_names_are_defined_once() -> None:
    classes = Counter(
        node.name
        for path in _modules()
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in classes.items() if count > 1] == []
