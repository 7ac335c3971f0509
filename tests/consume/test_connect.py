"""Kafka Connect brings a day's results into tables, by the commands of its page, and a kill loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from paynotify.sandbox.probes import free_port
from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas import topics
from paynotify.schemas.money import exponent
from tests import topics_reader
from tests.consume import connect_jars, day
from tests.consume.local_postgres import LocalPostgres, PostgresDatabase
from tests.consume.page import Page
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 90.0
PAYMENTS: Final = 60
KILLS: Final = 10 if LONG else 1

#: For a process that lives for seconds.
JAVA_OPTIONS: Final = "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"

# the judge's own: what each row became, in order
_AUDIT: Final = """
CREATE TABLE audit (position bigint GENERATED ALWAYS AS IDENTITY, payment text, sequence bigint);
CREATE FUNCTION leave_trace() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit (payment, sequence) VALUES (NEW.payment, NEW.sequence); RETURN NEW; END $$;
CREATE TRIGGER leave_trace AFTER INSERT OR UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION leave_trace();
"""
_WENT_BACK: Final = """
SELECT payment FROM (SELECT payment, sequence, lag(sequence) OVER (PARTITION BY payment ORDER BY position) AS before
FROM audit) AS steps WHERE sequence < before
"""


class Mirror:
    """Both topics, both tables, and Kafka Connect between them."""

    def __init__(self, kafka: str, database: PostgresDatabase, directory: Path) -> None:
        self.kafka, self.database = kafka, database
        variables = {
            **database.variables,
            "KAFKA": kafka,
            "PGPASSWORD": "not asked for",
            "CONNECT_LISTENER": f"http://127.0.0.1:{free_port()}",
            "JAVA_TOOL_OPTIONS": JAVA_OPTIONS,
        }
        self.page = Page("connect.md", variables, directory)

    def send(self, records: list[topics_reader.ToWrite]) -> None:
        for topic in (topics.STATUS, topics.LATEST):
            topics_reader.send(self.kafka, topic, records)

    def count(self, table: str) -> int:
        if not self.database.has_table(table):
            return 0
        ((found,),) = self.database.rows(f"SELECT count(*) FROM {table}")
        return int(found)

    def wait_until_written(self, child: Child, every_seconds: float = 0.1, *, restarts: bool = False) -> None:
        """With ``restarts`` as an operator does who sees that a connector has failed."""
        events, newest = self.wanted()

        def written() -> bool:
            if restarts:
                for connector in ("payments", "payment_events"):
                    self.page.type(f"/{connector}/restart")
            return self.count("payment_events") == len(events) and self._newest() == _sequences(newest)

        done = wait_for(lambda: written() or not child.running, within_seconds=DEADLINE_SECONDS, every=every_seconds)
        assert done, f"{self.count('payment_events')} of {len(events)} events: {child.end()}"
        assert child.running, child.end()

    def wait_until_more_than(self, events: int) -> None:
        assert wait_for(lambda: self.count("payment_events") > events, within_seconds=DEADLINE_SECONDS)

    def _newest(self) -> dict[str, int]:
        if not self.database.has_table("payments"):
            return {}
        return dict(self.database.rows("SELECT payment, sequence FROM payments"))

    def wanted(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """What lies on the topics: the events by id, and the newest of each payment by key."""
        status = topics_reader.whole(self.kafka, topics.STATUS)
        events = {event["event_id"]: event for life in topics_reader.payments(status).values() for event in life}
        newest: dict[str, dict[str, Any]] = {}
        for record in topics_reader.whole(self.kafka, topics.LATEST):
            key = record.key.decode()
            if record.value is None:
                newest.pop(key, None)
            else:
                newest[key] = orjson.loads(record.value)
        return events, newest

    def judge(self) -> None:
        """Compare every row with its event."""
        events, newest = self.wanted()
        assert {row["event_id"]: row for row in self._rows("payment_events")} == {
            name: _flat(event) for name, event in events.items()
        }
        assert {row.pop("payment"): row for row in self._rows("payments")} == {
            name: _flat(event) for name, event in newest.items()
        }

    def _rows(self, table: str) -> list[dict[str, Any]]:
        (columns, *_) = self.database.rows(
            "SELECT array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns "
            "WHERE table_name = %s",
            table,
        )
        names = columns[0]
        rows = self.database.rows(f"SELECT {', '.join(names)} FROM {table}")
        return [{k: v for k, v in zip(names, row, strict=True) if v is not None} for row in rows]


def _sequences(newest: dict[str, dict[str, Any]]) -> dict[str, int]:
    return {key: event["sequence"] for key, event in newest.items()}


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    """The row of an event: fields within fields have a name of both, and what is null is left out."""
    row: dict[str, Any] = {"order_role": "whole"}
    for name, value in event.items():
        if name == "provider_status" or value is None:
            continue
        if isinstance(value, dict):
            row |= {f"{name}_{part}": one for part, one in value.items()}
        else:
            is_time = name in {"provider_time", "observed_at", "settles_by"}
            row[name] = datetime.fromisoformat(value) if is_time else value
    return row


@pytest.fixture
def mirror(results_kafka: str, database: PostgresDatabase, tmp_path: Path) -> Iterator[Mirror]:
    one = Mirror(results_kafka, database, tmp_path)
    yield one
    one.page.end()


def test_day_comes_into_the_tables_once_though_connect_is_killed(mirror: Mirror, postgres: LocalPostgres) -> None:
    page, database = mirror.page, mirror.database
    connect_jars.fetched(page)
    mirror.send(day.records(day.day(PAYMENTS)))
    connect = page.start("java ")
    mirror.wait_until_written(connect)
    page.type("views.sql")
    database.rows(_AUDIT)
    assert '"state":"RUNNING"' in page.type("/status")
    assert f"({PAYMENTS} rows)" in page.type("payments_in_decimals'")
    for kill in range(1, KILLS + 1):
        before = mirror.count("payment_events")
        mirror.send(day.records(day.day(PAYMENTS, first=kill * PAYMENTS)))
        mirror.wait_until_more_than(before)
        connect.kill()
        mirror.send(day.records(day.day(PAYMENTS, first=(kill - 1) * PAYMENTS)))  # repeats, beside those of the crash
        connect = page.start("java ")
        mirror.wait_until_written(connect)
    if LONG:
        postgres.stop()
        mirror.send(day.records(day.day(PAYMENTS, first=(KILLS + 1) * PAYMENTS)))
        postgres.start()
    mirror.wait_until_written(connect, every_seconds=1.0, restarts=True)
    forgotten = f"{day.MERCHANT}/p0"
    topics_reader.send(mirror.kafka, topics.LATEST, [(forgotten.encode(), None, {})])
    mirror.wait_until_written(connect)
    mirror.judge()
    assert database.rows("SELECT payment FROM payments WHERE payment = %s", forgotten) == []
    assert database.rows(_WENT_BACK) == []
    assert database.rows("SELECT * FROM payment_gaps") == []
    assert {code: digits for code, digits in database.digits().items() if digits != exponent(code)} == {}
    started_elsewhere = {page.command("make up"), page.command("mvn "), page.command("/control/payments")}
    assert [one for one in page.left() if one not in started_elsewhere] == []
