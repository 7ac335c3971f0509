"""A newcomer comes from nothing to rows by the commands of both pages: the sandbox is started by ``make up`` too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.probes import free_port
from paynotify.sandbox.processes import wait_for
from tests.consume.local_postgres import PostgresDatabase
from tests.consume.page import ROOT, Page
from tests.long_form import LONG

pytestmark = [pytest.mark.kafka, pytest.mark.skipif(not LONG, reason="it installs and starts all: `make consumers`")]

_START_SECONDS: Final = 300.0
_DEADLINE_SECONDS: Final = 120.0
_ADDRESSES: Final = ROOT / "build" / "sandbox.env"

PageNamed = Callable[[str], Page]


@pytest.fixture
def opened(database: PostgresDatabase, tmp_path: Path) -> Iterator[PageNamed]:
    """Opens a page, and has typed its `make up` when it returns."""
    pages: list[Page] = []

    def at(name: str) -> Page:
        _ADDRESSES.unlink(missing_ok=True)
        listener = f"http://127.0.0.1:{free_port()}"
        page = Page(name, {**database.variables, "PGPASSWORD": "not asked for", "CONNECT_LISTENER": listener}, tmp_path)
        pages.append(page)
        up = page.start("make up")
        wait_for(lambda: _ADDRESSES.exists() or not up.running, within_seconds=_START_SECONDS)
        assert _ADDRESSES.exists(), up.end()
        page.begin()
        return page

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA", raising=False)
        yield at
        for page in pages:
            page.end()


def _until_shown(page: Page, words: str, shown: str) -> None:
    found = wait_for(lambda: shown in (page.attempt(words) or ""), within_seconds=_DEADLINE_SECONDS, every=1.0)
    assert found, page.type(words)


def test_newcomer_reads_postgres_page_and_sees_rows(opened: PageNamed) -> None:
    page = opened("postgres.md")
    for words in ("schema.sql", "-m venv", "pip install"):
        page.type(words)
    page.start("consumer.py")
    erp = page.start("erp.py")
    page.type("/control/payments")
    _until_shown(page, "FROM payments_in_decimals", "captured")
    _until_shown(page, "FROM bookings_in_decimals", "paid")
    _until_shown(page, "FROM payment_gaps", "(0 rows)")
    assert "captured release" in erp.log_path.read_text("utf-8")
    assert page.left() == []


def test_newcomer_reads_connect_page_and_sees_rows(opened: PageNamed) -> None:
    page = opened("connect.md")
    page.type("mvn ")
    page.start("java ")
    page.type("/control/payments")
    _until_shown(page, "/status", '"state":"RUNNING"')
    found = wait_for(lambda: page.attempt("views.sql") is not None, within_seconds=_DEADLINE_SECONDS, every=1.0)
    assert found, "the connectors made no tables"
    _until_shown(page, "FROM payments_in_decimals", "captured")
    for connector in ("payments", "payment_events"):
        page.type(f"/{connector}/restart")
    assert page.left() == []
