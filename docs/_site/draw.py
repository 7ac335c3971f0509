"""``python -m docs._site.draw``: draws the pictures that follow from the code, and writes the page of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from docs._site import flow, life


def documents() -> Mapping[Path, str]:
    """Every file with its content."""
    return {life.PICTURE: life.picture(), life.PAGE: life.page(), flow.PICTURE: flow.picture()}


if __name__ == "__main__":
    for path, content in documents().items():
        path.write_text(content, "utf-8")
