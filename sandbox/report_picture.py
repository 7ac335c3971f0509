"""A report of the terminal as a picture: an SVG that asks nothing of other hosts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

_WIDTH_CHARACTERS: Final = 100
#: rich names a font that a browser would fetch; the reader's own fixed-width font does as well.
_FETCHED_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def draw(path: Path, title: str, show: Callable[[Console], None]) -> None:
    """Write what ``show`` prints, as it looks on a terminal."""
    console = Console(record=True, width=_WIDTH_CHARACTERS, highlight=False, file=io.StringIO(), force_terminal=True)
    show(console)
    # the id keeps the picture's own classes apart from those of a page; a fixed one makes the same report the same file
    drawn = _FETCHED_FONT.sub("", console.export_svg(title=title, unique_id="report"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawn.replace('">', f'" role="img"><title>{title}</title>', 1), "utf-8")
