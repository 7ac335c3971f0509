"""A browser, and the console beside a system in which something happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser

from paynotify.sandbox.system import Plan, Sandbox
from tests.browser import chromium
from tests.browser.day import SHOP, Day, Shop, lived
from tests.console_process import Console

SHOPS: Final = {"trustpayments": (SHOP,)}


@pytest.fixture(scope="session")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    chromium.chromium()  # without it there is no need for a system
    with Sandbox(Plan(kafka=kafka, consumers=False, merchants=SHOPS, partitions=1)) as running:
        yield running


@pytest.fixture(scope="session")
def console(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(sandbox, tmp_path_factory.mktemp("console") / "index.sqlite") as running:
        yield running


@pytest.fixture(scope="session")
def day(sandbox: Sandbox, shop: Shop, console: Console) -> Day:
    return lived(sandbox, shop, console)


@pytest.fixture(scope="session")
def shop(sandbox: Sandbox) -> Shop:
    return Shop(sandbox)


@pytest.fixture(scope="module")
def browser(day: Day) -> Iterator[Browser]:
    """Launched after the day, and gone with the module: meanwhile this thread's event loop is Playwright's."""
    with chromium.launched() as launched:
        yield launched
