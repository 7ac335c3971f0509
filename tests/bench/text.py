"""What a section tells: a heading, a table, and what must be known to read it; as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Passage:
    """One table with what is said about it. The first column names the row."""

    title: str
    said: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def plain(one: Passage) -> str:
    """For a terminal or a log: columns as wide as their widest cell."""
    said = f": {one.said}" if one.said else ""
    return "\n".join((f"{one.title}{said}", *_columns(one.head, one.rows), *(f"  {note}" for note in one.notes)))


def markdown(one: Passage, level: int = 2) -> str:
    """For a page of the documentation."""
    lines = [f"| {' | '.join(cells)} |" for cells in (one.head, ("---",) * len(one.head), *one.rows)]
    parts = [f"{'#' * level} {one.title}", _sentence(one.said), "\n".join(lines), "\n".join(one.notes)]
    return "\n\n".join(part for part in parts if part)


def ratio(one: float | None, other: float | None) -> str:
    """How many times the other it is."""
    return f"{one / other:.2f}" if one is not None and other else NOTHING


def number(value: float | None, digits: int = 0) -> str:
    """The number with separated thousands."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = (
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )
    return [f"  {line}".rstrip() for line in lines]
