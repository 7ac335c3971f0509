"""A newcomer comes from nothing to rows by the commands of both pages: the sandbox is started by ``make up`` too."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.probes import free_port
from paynotify.sandbox.processes import wait_for
from tests.consume.local_postgres import LocalPostgres
from tests.consume.page import Page
from tests.long_form import LONG

pytestmark = [pytest.mark.kafka, pytest.mark.skipif(not LONG, reason="it installs and starts all: `make consumers`")]

_START_SECONDS: Final = 300.0
_DEADLINE_SECONDS: Final = 120.0
_PROVIDERS: Final = 3


class Newcomer:
    """What ``make up`` printed, and the pages that are typed after it."""

    def __init__(self, postgres: LocalPostgres, directory: Path) -> None:
        self._pages: list[Page] = []
        self._directory = directory
        self._databases = [postgres.new_database(), postgres.new_database()]
        page = self.page("postgres.md")
        up = page.start("make up")
        printed = wait_for(
            lambda: "Ctrl-C ends everything" in self._text(up.log_path) or not up.running, within_seconds=_START_SECONDS
        )
        assert printed, up.end()
        assert up.running, up.end()
        text = self._text(up.log_path)
        (self._kafka,) = re.findall(r"^Kafka +(\S+)$", text, re.MULTILINE)
        self._payments = re.findall(r"^ +(curl .*/control/payments .*)$", text, re.MULTILINE)
        assert len(self._payments) >= _PROVIDERS
        page.name(KAFKA=self._kafka)

    @staticmethod
    def _text(path: Path) -> str:
        return path.read_text("utf-8", "replace")

    def page(self, name: str) -> Page:
        database = self._databases[len(self._pages)]
        page = Page(name, {**database.variables, "PGPASSWORD": "not asked for"}, self._directory)
        self._pages.append(page)
        if len(self._pages) > 1:
            page.name(KAFKA=self._kafka, CONNECT_LISTENER=f"http://127.0.0.1:{free_port()}")
        return page

    @property
    def first_page(self) -> Page:
        return self._pages[0]

    def pay(self) -> None:
        for line in self._payments:
            subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=60)

    def until_shown(self, page: Page, words: str, shown: str) -> None:
        found = wait_for(lambda: shown in (page.attempt(words) or ""), within_seconds=_DEADLINE_SECONDS, every=1.0)
        assert found, page.type(words)

    def end(self) -> None:
        for page in reversed(self._pages):
            page.end()
        for database in self._databases:
            database.close()


@pytest.fixture(scope="module")
def newcomer(postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA", raising=False)
        one = Newcomer(postgres, tmp_path_factory.mktemp("newcomer"))
    yield one
    one.end()


def test_newcomer_reads_postgres_page_and_sees_rows(newcomer: Newcomer) -> None:
    page = newcomer.first_page
    for words in ("schema.sql", "-m venv", "pip install"):
        page.type(words)
    page.start("consumer.py")
    page.start("erp.py")
    newcomer.pay()
    newcomer.until_shown(page, "FROM payments_in_decimals", "captured")
    newcomer.until_shown(page, "FROM bookings_in_decimals", "10.50")
    newcomer.until_shown(page, "FROM payment_gaps", "(0 rows)")
    assert page.left() == []


def test_newcomer_reads_connect_page_and_sees_rows(newcomer: Newcomer) -> None:
    page = newcomer.page("connect.md")
    page.type("mvn ")
    page.start("java ")
    newcomer.pay()
    newcomer.until_shown(page, "/status", '"state":"RUNNING"')
    found = wait_for(lambda: page.attempt("views.sql") is not None, within_seconds=_DEADLINE_SECONDS, every=1.0)
    assert found, "the connectors made no tables"
    newcomer.until_shown(page, "FROM payments_in_decimals", "captured")
    assert page.left() == [page.command("make up")]
