"""The parts of generated pages."""

from __future__ import annotations

from paynotify.schemas.generate import markdown


def test_cell_with_a_bar_stays_one_cell() -> None:
    lines = list(markdown.table(("key", "meaning"), [("`a`", "this | that"), ("`b`", "")]))
    assert lines == ["| key | meaning |", "| --- | --- |", "| `a` | this \\| that |", "| `b` |  |"]


def test_part_between_markers_is_replaced_alone() -> None:
    assert markdown.with_part("before <old> after", "<", ">", "new") == "before <new> after"
