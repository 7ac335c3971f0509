"""Output for people: columns, and no control over the terminal."""

from __future__ import annotations

import io

import pytest

from paynotify.ops.common.terminal import print_table, printable


def _printed(rows: list[tuple[str, ...]], **options: object) -> list[str]:
    stream = io.StringIO()
    print_table(rows, stream=stream, **options)  # type: ignore[arg-type]  # options differ from test to test
    return stream.getvalue().splitlines()


def test_table_aligns_columns_without_trailing_spaces() -> None:
    assert _printed([("a", "1"), ("long", "")], header=("kind", "value")) == ["kind  value", "a     1", "long"]


def test_table_aligns_counts_to_the_right() -> None:
    assert _printed([("7", "a"), ("100", "b")], right_aligned=1) == ["  7  a", "100  b"]


def test_table_without_rows_prints_nothing() -> None:
    assert _printed([], header=("kind",)) == []


def test_table_neither_wraps_nor_truncates_long_cells() -> None:
    assert _printed([("x" * 500, "y" * 500)]) == ["x" * 500 + "  " + "y" * 500]


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=https://x.example]y[/link]", ":smile:", "[/]"])
def test_table_shows_markup_literally(text: str) -> None:
    assert _printed([(text, "end")]) == [f"{text}  end"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc\u202e") == "a?[2Jb?c?"
    assert printable(None) == ""
    assert _printed([("a\x1b]0;title\x07", "b")]) == ["a?]0;title?  b"]
