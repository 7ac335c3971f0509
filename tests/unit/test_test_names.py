"""Test names are searchable: they begin with their subject and have at most 80 characters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
MAX_NAME_LENGTH: Final = 80

#: They begin a clause without naming its subject: it is not found where readers look for it.
NO_SUBJECTS: Final = frozenset({"what", "who", "no", "of", "where", "only", "is"})

_TEST = re.compile(r"def (test_\w+)")


def _names() -> list[str]:
    return [name for path in TESTS.rglob("test_*.py") for name in _TEST.findall(path.read_text("utf-8"))]


def test_names_have_at_most_80_characters() -> None:
    names = _names()
    assert names
    assert [name for name in names if len(name) > MAX_NAME_LENGTH] == []


def test_names_begin_with_their_subject() -> None:
    assert [name for name in _names() if name.split("_")[1] in NO_SUBJECTS] == []
