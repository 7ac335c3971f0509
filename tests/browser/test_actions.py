"""An action in a real browser: dry run, reason, progress and stop, with script and without; no broker is needed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from playwright.sync_api import Page
from starlette.requests import HTTPConnection

from paynotify.ops.common import action_log
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.replay import sending
from paynotify.schemas import topics
from paynotify.service.asgi_server import AsgiServer
from tests.browser import accessibility, chromium
from tests.browser.visit import PHONE, Visit, visiting
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers
from tests.fakes.console_topics import record
from tests.fakes.memory_topics import MemoryTopics

TARGET: Final = topics.notifications("trustpayments")
RECORDS: Final = 30


async def anna(connection: HTTPConnection) -> Identity:
    return Identity("anna", "oidc", {EVERY_MERCHANT: Role.CASHIER})


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a console that has actions alone, over rejected records in memory."""
    headers = {"reason": "bad_signature", "original-topic": TARGET, "first-seen": "2026-11-29T10:00:00Z"}
    rejected = [
        record(topics.REJECTED, 0, at, f"shop-uk/57-9-{at}", b"body", ce_id=f"n-{at}", **headers)
        for at in range(RECORDS)
    ]
    configuration = configurations.parsed("127.0.0.1:9", "", folder)
    renderer = PageRenderer(lambda: IndexAge(0, time.time()))
    pages = ActionPages(configuration, renderer, lambda: MemoryTopics({topics.REJECTED: rejected, TARGET: []}))
    server = AsgiServer(uvicorn.Config(build_application(renderer, pages.routes(), anna), log_config=None))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        pages.close()
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(sending, "RecordSender", RecordingBrokers())
    monkeypatch.setattr(action_log, "RecordSender", RecordingBrokers())
    with served(tmp_path) as found:
        yield found


def begun(visit: Visit, *, per_second: int) -> Page:
    """The page of a replay that was confirmed."""
    page = visit.open("/actions/replay?kind=rejected")
    page.fill("#field-per_second", str(per_second))
    page.click("main button")
    page.wait_for_url("**/actions/plans/*")
    assert f"{RECORDS} of {RECORDS} records would be sent." in page.inner_text("main")
    page.fill("#why", "case 4711")
    page.click("text=Do exactly this")
    return page


def test_replay_is_watched_and_stopped(address: str) -> None:
    with chromium.launched() as browser:
        with visiting(browser, address, screen=PHONE, scheme="dark") as visit:
            page = begun(visit, per_second=4)
            page.wait_for_function("() => document.querySelector('progress')?.value > 0")
            page.evaluate("() => { window.stays = true; }")
            page.wait_for_function("() => document.querySelector('progress')?.value > 4")
            assert page.evaluate("() => window.stays"), "the page was loaded again"
            page.click("text=Stop")
            page.wait_for_selector("text=It was stopped after")
            assert [*accessibility.violations(page), *accessibility.too_wide(page)] == []
            assert visit.problems == []
        with visiting(browser, address, script=False) as visit:
            page = begun(visit, per_second=30)
            page.wait_for_selector(f"text=Done. {RECORDS} of {RECORDS} records were sent.")
            assert visit.problems == []
