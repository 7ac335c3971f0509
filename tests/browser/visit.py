"""A person at a page of the console: what the browser asked for and complained of meanwhile is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, Request, Response

Scheme = Literal["light", "dark"]
Screen = tuple[int, int]

DESK: Final[Screen] = (1280, 800)
PHONE: Final[Screen] = (375, 667)
DEADLINE_SECONDS: Final = 30.0


class Visit:
    """A tab of a browser of its own. ``problems`` is what no page of the console may cause."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.problems: list[str] = []
        self._address = address
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"an error of a script: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)

    def open(self, path: str = "/") -> Page:
        """The page at the path, once it and its own files are there."""
        self.page.goto(self._address + path, wait_until="load")
        return self.page

    def script(self, *, runs: bool) -> None:
        """Let the scripts of the pages that are opened next run, or not. What a test evaluates runs anyway."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Emulation.setScriptExecutionDisabled", {"value": not runs})
        session.detach()

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):  # a breach of the content security policy among them
            self.problems.append(f"{kind} at {self.page.url}: {text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._address}/", "data:")):
            self.problems.append(f"{self.page.url} asked {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} of {response.url}")


@contextmanager
def visiting(
    browser: Browser, address: str, *, scheme: Scheme = "light", screen: Screen = DESK, script: bool = True
) -> Iterator[Visit]:
    """A visit by somebody new: no cookies, and nothing in the cache."""
    width, height = screen
    more: dict[str, Any] = {"is_mobile": True, "has_touch": True} if screen == PHONE else {}
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=script,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/London",
        **more,
    )
    context.set_default_timeout(DEADLINE_SECONDS * 1000)
    try:
        yield Visit(context.new_page(), address)
    finally:
        context.close()
