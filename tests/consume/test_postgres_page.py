"""The commands of the page on PostgreSQL lead to rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.schemas import topics
from tests import topics_reader
from tests.consume import day
from tests.consume.local_postgres import PostgresDatabase
from tests.consume.page import Page

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 60.0

#: The tests' own Python has what the page installs.
PYTHON: Final = {"build/consumer/bin/python": sys.executable}


def test_commands_of_the_page_lead_to_rows(results_kafka: str, database: PostgresDatabase, tmp_path: Path) -> None:
    page = Page("postgres.md", {**database.variables, "KAFKA": results_kafka}, tmp_path)
    page.type("schema.sql")
    consumer = page.start("consumer.py", PYTHON)
    erp = page.start("erp.py", PYTHON)
    try:
        topics_reader.send(results_kafka, topics.STATUS, day.records(day.day(20)))
        newest = "SELECT count(handled_at) FROM payments JOIN payment_events USING (merchant, payment_id, sequence)"
        assert wait_for(lambda: database.rows(newest) == [(20,)], within_seconds=DEADLINE_SECONDS), consumer.end()
        assert "shop-uk p0 " in erp.log_path.read_text("utf-8")
    finally:
        page.end()
    assert "(20 rows)" in page.type("FROM payments_in_decimals")
    assert "paid" in page.type("FROM bookings_in_decimals")
    assert "(0 rows)" in page.type("FROM payment_gaps")
    assert page.left() == [
        page.command("make up"),
        page.command("-m venv"),
        page.command("pip install"),
        page.command("/control/payments"),
    ]
