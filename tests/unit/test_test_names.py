"""Test names are searchable: at most 80 characters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
MAX_NAME_LENGTH: Final = 80

_TEST = re.compile(r"def (test_\w+)")


def test_names_have_at_most_80_characters() -> None:
    names = [name for path in TESTS.rglob("test_*.py") for name in _TEST.findall(path.read_text("utf-8"))]
    assert names
    assert [name for name in names if len(name) > MAX_NAME_LENGTH] == []
