"""The console under load: its answers are right with many viewers, and after kills while it reads or serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from tests.console_load.filling import fill, payment_of, records_of
from tests.console_load.served import CONFIGURATION, ServedConsole
from tests.console_load.viewers import Seen, look

pytestmark = pytest.mark.kafka

PAYMENTS: Final = int(os.environ.get("PAYNOTIFY_CONSOLE_PAYMENTS") or 20_000)
VIEWERS: Final = 50
LOOK_SECONDS: Final = 2.0
DEADLINE_SECONDS: Final = 120.0


@pytest.fixture
def sandbox(kafka: str) -> Iterator[Sandbox]:
    merchants = {"nevogate": ("shop-hu",)}
    plan = Plan(
        kafka=kafka, workers=(), consumers=False, ingest=False, merchants=merchants, configuration=CONFIGURATION
    )
    with Sandbox(plan) as running:
        yield running


def looked_at(console: ServedConsole, kill: bool = False) -> Seen:
    """What the viewers see. ``kill``: the process is killed while they look."""
    killer = threading.Timer(LOOK_SECONDS / 2, console.child.kill) if kill else None
    if killer is not None:
        killer.start()
    seen = asyncio.run(look(console.port, PAYMENTS, VIEWERS, LOOK_SECONDS))
    if killer is not None:
        killer.join()
    return seen


def test_pages_are_right_under_load_and_after_kills(sandbox: Sandbox, tmp_path: Path) -> None:
    fill(sandbox, range(PAYMENTS))
    index, records = tmp_path / "index.sqlite", records_of(PAYMENTS)
    console = ServedConsole(sandbox, index)
    try:
        # while it reads: the file is made before the first page of records is in it
        assert wait_for(lambda: console.read_records() > 0, within_seconds=DEADLINE_SECONDS)
        console.child.kill()
        first_read = console.read_records()
        assert 0 < first_read <= records

        console = ServedConsole(sandbox, index)
        console.until_complete(DEADLINE_SECONDS)
        killed = looked_at(console, kill=True)  # while it serves
        assert killed.wrong == []
        assert killed.lost > 0

        fill(sandbox, range(1_000), sequence=3)  # the others are as they were
        console = ServedConsole(sandbox, index)
        console.until_complete(DEADLINE_SECONDS)
        seen = looked_at(console)
        assert (seen.wrong, seen.lost) == ([], 0)
        assert {"search", "order", "list", "attention", "api"} <= seen.seconds.keys()
        path = f"/payments/shop-hu/{payment_of(7)}?after_sequence=2&wait_seconds=30"
        status, newest = console.asked(path)
        assert (status, newest["event"]["sequence"]) == (200, 3)
    finally:
        assert console.child.stop() == 0
    with contextlib.closing(sqlite3.connect(index)) as database:
        assert database.execute("SELECT count(*), sum(sequence) FROM payments").fetchone() == (
            PAYMENTS,
            2 * PAYMENTS + 1_000,
        )
        for table, one_in in (("expected", 10), ("rejected", 50), ("dead", 500)):
            again = 1_000 // one_in if table != "expected" else 0  # a record each, an order once
            found = database.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert found == (PAYMENTS // one_in + again,), table
