"""Draws each page of the console for the docs: on a phone, and dark on a desk. `make pictures` asks for it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Final

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browser import pages
from tests.browser.day import SHOP, Day
from tests.browser.visit import DESK, PHONE, Scheme, Screen, visiting
from tests.console_process import Console

#: The folder to draw into.
PICTURES: Final = os.environ.get("PAYNOTIFY_PICTURES", "")
pytestmark = [pytest.mark.kafka, pytest.mark.skipif(not PICTURES, reason="`make pictures` draws the pages.")]

LOOKS: Final[tuple[tuple[str, Scheme, Screen], ...]] = (("phone", "light", PHONE), ("dark", "dark", DESK))
MAX_BYTES: Final = 60_000
_COLOURS: Final = 32


def name_of(path: str) -> str:
    """The name of a page's picture: that of its first part, of a single thing that of one."""
    first, _, rest = path.partition("?")[0].removeprefix("/").partition("/")
    if not rest:
        return first or "attention"
    return first.removesuffix("s") if first.endswith("s") else f"{first}-of-merchant"


@pytest.mark.parametrize(("look", "scheme", "screen"), LOOKS)
def test_each_page_is_drawn(
    look: str, scheme: Scheme, screen: Screen, browser: Browser, console: Console, day: Day
) -> None:
    folder = Path(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    with visiting(browser, console.address, scheme=scheme, screen=screen) as visit:
        for path in pages.find(visit, f"/payments/{SHOP}/{day.waiting}", "/search?q=ORD"):
            page = visit.open(path)
            page.locator("main h1").wait_for()
            drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(_COLOURS)
            file = folder / f"{name_of(path)}-{look}.png"
            drawn.save(file, optimize=True)
            assert file.stat().st_size < MAX_BYTES, file
