"""Every page of the console, as one who clicks on all links finds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page

from tests.browser.visit import Visit
from tests.long_form import LONG

#: More kinds of pages than there are; links that lead on and on would go beyond it.
_MAX_PAGES: Final = 100
_LINKS: Final = "() => [...document.querySelectorAll('a[href]')].map(one => one.href)"


def kind_of(path: str) -> str:
    """What the pages of one kind have in common: the path before the ids, and which filters are set."""
    parts = urlsplit(path)
    group, _, rest = parts.path.removeprefix("/").partition("/")
    filters = sorted({name for name, _ in parse_qsl(parts.query)}) if LONG else []
    return " ".join((f"/{group}/*" if rest else f"/{group}", *filters))


def find(visit: Visit, *others: str) -> list[str]:
    """A page of each kind that the first page, and the ``others``, lead to: their paths.

    In the long form also one for each set of filters that a link sets.
    """
    found: dict[str, str] = {}
    left = ["/", *others]
    while left:
        path = left.pop(0)
        if kind_of(path) in found or path.startswith("/static/"):
            continue
        found[kind_of(path)] = path
        assert len(found) <= _MAX_PAGES, found
        left += _links(visit.open(path))
    return [*found.values()]


def _links(page: Page) -> Iterator[str]:
    own = urlsplit(page.url)
    for link in page.evaluate(_LINKS):
        parts = urlsplit(link)
        if parts.netloc == own.netloc:
            yield parts._replace(scheme="", netloc="", fragment="").geturl()
