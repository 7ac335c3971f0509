"""A person who has never seen the console: reads, clicks and types, and counts how often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from tests.browser.visit import Visit


class Person:
    """Begins at the first page. ``steps`` counts clicks, and texts that were typed and sent."""

    def __init__(self, visit: Visit) -> None:
        self.page: Page = visit.open("/")
        self.steps = 0

    def search(self, text: str) -> None:
        self.page.locator("#q").fill(text)
        with self._leaves():
            self.page.keyboard.press("Enter")

    def follow(self, text: str, *, within: str = "main") -> None:
        """Click on the first link with the text."""
        with self._leaves():
            self.page.locator(f"{within} a", has_text=text).first.click()

    def open_filter(self) -> None:
        self.page.locator("details.filter summary").click()
        self.steps += 1

    def choose(self, field: str) -> None:
        self.page.get_by_label(field, exact=True).check()
        self.steps += 1

    def type(self, field: str, text: str) -> None:
        self.page.get_by_label(field, exact=True).fill(text)
        self.steps += 1

    def press(self, button: str) -> None:
        with self._leaves():
            self.page.get_by_role("button", name=button, exact=True).click()

    def waits_for(self, text: str) -> None:
        """Look at the page, without a click, until it says so."""
        self.page.locator("main").get_by_text(text).first.wait_for()

    def reads(self) -> str:
        """What the page says."""
        return self.page.locator("main").inner_text()

    def row(self, text: str) -> str:
        """The row of a table with the text, its cells apart."""
        return " | ".join(self.page.locator("main tr", has_text=text).first.locator("th, td").all_inner_texts())

    @contextmanager
    def _leaves(self) -> Iterator[None]:
        """Wait for the page that the step leads to."""
        self.steps += 1
        with self.page.expect_navigation():
            yield
