"""Parts of the generated Markdown pages."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield _row(header)
    yield _row(["---"] * len(header))
    for cells in rows:
        yield _row(cell.replace("|", "\\|") for cell in cells)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def of_docstring(text: str) -> str:
    """A docstring, in which code stands between double backquotes, as Markdown."""
    return inspect.cleandoc(text).replace("``", "`")


def with_part(text: str, start: str, end: str, part: str) -> str:
    """The text with ``part`` between the two markers, instead of what stands there."""
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}{part}{end}{after}"
