"""Debian's Chromium, which Playwright drives: no browser is fetched from anywhere else.

The machine's own is used where there is one. Else it is unpacked into the cache, with its libraries and a font, and
nothing is installed. Where that fails its tests are skipped and say so, but never in CI.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final
from xml.sax.saxutils import escape

from playwright.sync_api import Browser, sync_playwright

from tests import debian_packages

CACHE: Final = debian_packages.CACHE / "browser"
_PACKAGES: Final = ("chromium", "chromium-common", "fonts-dejavu-core")
_PROGRAM: Final = CACHE / "usr" / "lib" / "chromium" / "chromium"
_FONTS: Final = CACHE / "fonts.conf"

#: Without these it asks its maker's hosts for updates and keys.
_OPTIONS: Final = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


class MissingBrowserError(AssertionError):
    """There is no browser; the text says how to get one."""


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window. Each test opens contexts of its own in it.

    Raises:
        MissingBrowserError: there is none, in CI.
    """
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_OPTIONS], env=_environment(program))
        try:
            yield browser
        finally:
            browser.close()


def chromium() -> str:
    """The path of the program. It is fetched if it is missing, and the test skipped where there is none.

    Raises:
        MissingBrowserError: there is none, in CI.
    """
    path = _found()
    if path is None:
        problem = fetch()
        path = _found()
        if path is None:
            text = f"Chromium can't be had: {problem}. Install Debian's package chromium, or let apt-get download it."
            debian_packages.skip(MissingBrowserError(text))
    return path


@cache
def _found() -> str | None:
    places = (str(_PROGRAM), shutil.which("chromium"))
    return next((one for one in places if one and debian_packages.runs(CACHE, one, "--version")), None)


def fetch() -> str:
    """Bring the browser into the cache; returns what went wrong, if anything did."""
    _found.cache_clear()
    debian_packages.update_lists()  # security updates replace it often, and old lists name what is gone
    name, *others = _PACKAGES
    problem = debian_packages.unpack(CACHE, name, *others, *debian_packages.lacking(*_PACKAGES))
    _FONTS.write_text(
        f"<fontconfig><dir>{escape(str(CACHE))}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{escape(str(CACHE))}/fonts</cachedir></fontconfig>\n",
        "utf-8",
    )
    return problem or "it does not start on this machine"


def _environment(program: str) -> dict[str, str | float | bool]:
    if program != str(_PROGRAM):
        return {**os.environ}
    return {**debian_packages.environment(CACHE), "FONTCONFIG_FILE": str(_FONTS)}


if __name__ == "__main__":
    if _found() is None:
        problem = fetch()
        if _found() is None:
            print(f"Chromium can't be had ({problem}): tests that need it are skipped", file=sys.stderr)
