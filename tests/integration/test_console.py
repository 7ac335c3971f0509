"""The console beside the running system: what happens appears on its pages, also after it was killed."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.system import Plan, Sandbox
from tests.console_process import DEADLINE_SECONDS, TOKEN, Console

pytestmark = pytest.mark.kafka

STOP_SECONDS: Final = 4.5
NEVOGATE: Final = {"nevogate": ("shop-hu",)}


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    tokens = [{"name": "shop", "token": {"value": TOKEN}, "scopes": ["orders:read", "payments:read"]}]
    configuration = {"console": {"api_tokens": tokens}}
    with Sandbox(Plan(kafka=kafka, consumers=False, merchants=NEVOGATE, configuration=configuration)) as running:
        yield running


def test_payment_appears_is_found_and_tells_its_story(sandbox: Sandbox, tmp_path: Path) -> None:
    console = Console(sandbox, tmp_path / "index.sqlite")
    try:
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-4711", amount=1250)
        found = console.until("/search?q=ORD-47", payment)
        assert f"<code>shop-hu/{payment}</code>" in found, "a search with one hit leads to its page"
        page = console.until(f"/payments/shop-hu/{payment}", "notification")
        assert "The goods may leave" in page
        assert all(f"<td>{kind}</td>" in page for kind in ("notification", "lookup", "answer", "observation", "status"))
        assert console.page("/payments/shop-hu/none")[0] == 404
        assert console.page("/payments/nobody/none")[0] == 404
        assert console.page("/", host="attacker.example")[0] == 421
        console.child.signal(signal.SIGKILL)
        assert console.child.wait(DEADLINE_SECONDS)

        with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as database, database:
            # as after topics that were deleted and made anew
            database.execute("UPDATE positions SET next_offset = 1000000")
        later = sandbox.providers["nevogate"].pay(order_id="ORD-4712", amount=1250)
        console = Console(sandbox, tmp_path / "index.sqlite")
        page = console.until("/search?q=ORD-471", later)
        assert payment in page
        assert "up to date" in console.until("/", "up to date")
    finally:
        console.child.signal(signal.SIGTERM)
        assert console.child.wait(DEADLINE_SECONDS)
    assert console.child.exit_code == 0


def test_payment_comes_live_and_streams_end_with_the_console(sandbox: Sandbox, tmp_path: Path) -> None:
    before = sandbox.providers["nevogate"].pay(order_id="ORD-4713", amount=1250)
    console = Console(sandbox, tmp_path / "index.sqlite")
    try:
        console.until("/search?q=ORD-4713", before)
        with console.stream("/live/events?kind=status") as rows, console.stream("/live/news") as news:
            payment = sandbox.providers["nevogate"].pay(order_id="ORD-4714", amount=1250)
            assert any(f"/payments/shop-hu/{payment}" in line.decode() for line in rows)
            assert b"event: news\n" in news
            console.child.signal(signal.SIGTERM)
            began = time.monotonic()
            assert console.child.wait(DEADLINE_SECONDS)
            # beyond that uvicorn would have cut them off
            assert time.monotonic() - began < STOP_SECONDS
            assert (rows.read()[-2:], rows.read()) == (b"\n\n", b"")
    finally:
        console.child.signal(signal.SIGTERM)
    assert console.child.exit_code == 0
    console = Console(sandbox, tmp_path / "index.sqlite")
    try:
        # nothing comes: these are read back from the topics
        assert payment in console.until("/live?kind=status", before)
    finally:
        console.child.signal(signal.SIGTERM)
        assert console.child.wait(DEADLINE_SECONDS)


def test_program_learns_that_an_order_is_paid_and_waits_for_events(sandbox: Sandbox, tmp_path: Path) -> None:
    console = Console(sandbox, tmp_path / "index.sqlite")
    try:
        console.until("/", "up to date")
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-4715", amount=1250)
        # it comes through all stages while the call waits
        status, first = console.asked(f"/payments/shop-hu/{payment}?after_sequence=0&wait_seconds=30")
        assert (status, first["event"]["order_id"]) == (200, "ORD-4715")
        while first["event"]["status"] != "captured":
            after = first["event"]["sequence"]
            status, first = console.asked(f"/payments/shop-hu/{payment}?after_sequence={after}&wait_seconds=30")
            assert status == 200
        status, order = console.asked("/orders/shop-hu/ORD-4715")
        assert (status, order["paid"], order["fulfilment"]) == (200, "yes", "release")
        assert order["kept"] == {"value": 1250, "currency": "HUF"}
        assert console.asked("/orders/shop-hu/ORD-9999")[0] == 404

        with ThreadPoolExecutor(1) as program:
            waiting = program.submit(console.asked, f"/payments/shop-hu/{payment}?after_sequence=99&wait_seconds=60")
            assert console.asked(f"/payments/shop-hu/{payment}?after_sequence=99&wait_seconds=1")[0] == 204
            console.child.signal(signal.SIGTERM)
            began = time.monotonic()
            assert waiting.result(DEADLINE_SECONDS) == (204, None)
            assert console.child.wait(DEADLINE_SECONDS)
            assert time.monotonic() - began < STOP_SECONDS
    finally:
        console.child.signal(signal.SIGTERM)
    assert console.child.exit_code == 0
