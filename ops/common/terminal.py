"""Plain-text output for people: tables, and text that cannot control the terminal.

Ids and reasons come from shops and providers. A control character in one of them could move the cursor, change colours
or set the window title, so every such text passes through `printable` before it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Output that is piped or redirected is never wrapped: a line stays a line for grep.
_UNWRAPPED_WIDTH: Final = 10_000


def printable(text: str | None) -> str:
    """The text with a question mark for each control character; empty for None."""
    return "".join(one if one.isprintable() else "?" for one in text or "")


def print_table(
    rows: Iterable[Sequence[str]],
    header: Sequence[str] | None = None,
    *,
    right_aligned: int = 0,
    stream: TextIO | None = None,
) -> None:
    """Print rows in columns, the first ``right_aligned`` ones of them aligned to the right.

    Cells are shown literally (never as Rich markup) and made `printable`. Nothing is printed for no rows. Lines are
    neither wrapped nor truncated, so that ids can be copied and the output can be searched.
    """
    stream = stream or sys.stdout
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    table = Table(box=None, show_header=header is not None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for number in range(len(cells[0])):
        title = header[number] if header is not None else ""
        table.add_column(title, justify="right" if number < right_aligned else "left", no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(file=stream, width=_UNWRAPPED_WIDTH, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip(), file=stream)
