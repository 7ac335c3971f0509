"""The example consumer of ``examples/postgres`` as processes, and the judge of what it wrote."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox import erp
from paynotify.sandbox.processes import Child, wait_for
from tests import topics_reader
from tests.consume.languages import EXAMPLES
from tests.consume.local_postgres import PostgresDatabase
from tests.fakes.configurations import create_topics

FOLDER: Final = EXAMPLES / "postgres"
PARTITIONS: Final = 4
DEADLINE_SECONDS: Final = 60.0

# the judge's own, and none of the example's: every application of an event leaves a row, however often
_AUDIT: Final = """
CREATE TABLE audit (merchant text, payment_id text, sequence bigint);
CREATE FUNCTION leave_trace() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit VALUES (NEW.merchant, NEW.payment_id, NEW.sequence); RETURN NEW; END $$;
CREATE TRIGGER leave_trace AFTER INSERT OR UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION leave_trace();
"""


def example_module(name: str) -> Any:
    """A module of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reading:
    """A topic, a database, and the consumers that bring one to the other."""

    def __init__(self, kafka: str, topic: str, database: PostgresDatabase, directory: Path) -> None:
        self.kafka, self.topic, self.database, self.directory = kafka, topic, database, directory
        self._children: list[Child] = []
        create_topics(kafka, topic, partitions=PARTITIONS)
        database.rows(_AUDIT)

    def send(self, records: topics_reader.Records) -> None:
        topics_reader.send(self.kafka, self.topic, records)

    def consumer(self, session_seconds: int = 1) -> Child:
        """One consumer more; a silent one loses its partitions after a time."""
        options = ["--bootstrap", self.kafka, "--topic", self.topic, "--name", self.topic]
        return self.run("consumer.py", *options, "--session-seconds", str(session_seconds))

    def run(self, script: str, *options: str) -> Child:
        log = self.directory / f"{len(self._children)}-{script}.log"
        command = [sys.executable, "-X", "faulthandler", str(FOLDER / script), *options]
        child = Child(script, command, log, environment=self.database.variables)
        self._children.append(child)
        return child

    def _abort(self) -> None:
        """End consumers that do not do what they should: each writes into its log where it is."""
        for child in self._children:
            if child.running:
                child.signal(signal.SIGABRT)
                child.wait(DEADLINE_SECONDS)

    def end(self) -> None:
        for child in self._children:
            if child.running:
                child.kill()

    def positions(self) -> dict[int, int]:
        """The next offset of each partition by the database."""
        return dict(self.database.rows("SELECT partition, coalesce(next_offset, 0) FROM consumer_offsets"))

    def _sent(self) -> int:
        return topics_reader.counts(self.kafka, self.topic)[self.topic]

    def _read(self) -> int:
        return sum(self.positions().values())

    def wait_until_read(self, child: Child) -> None:
        """Wait until all that lies on the topic now is applied."""
        sent = self._sent()
        if not wait_for(lambda: self._read() == sent or not child.running, within_seconds=DEADLINE_SECONDS):
            self._abort()
            raise AssertionError(f"{sent - self._read()} records are left: {child.end()}")
        assert child.running, child.end()

    def wait_until_owned(self, *children: Child) -> None:
        """Wait until the consumers share all partitions."""
        owned = "SELECT count(*), count(DISTINCT owner) FROM consumer_offsets"
        wanted = [(PARTITIONS, len(children))]
        if not wait_for(lambda: self.database.rows(owned) == wanted, within_seconds=DEADLINE_SECONDS):
            self._abort()
            raise AssertionError("\n".join(child.end() for child in children))

    def writing(self) -> str | None:
        """The id of a transaction that has written and is open; None without one."""
        open_ones = self.database.rows(
            "SELECT backend_xid::text FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return open_ones[0][0] if open_ones else None

    def outcome(self, transaction: str) -> str:
        """Wait until a transaction has ended; returns ``committed`` or ``aborted``."""

        def ended() -> str | None:
            ((status,),) = self.database.rows("SELECT txid_status(%s)", int(transaction))
            return None if status == "in progress" else str(status)

        found = wait_for(ended, within_seconds=DEADLINE_SECONDS)
        assert found is not None, f"transaction {transaction} is open"
        return found

    def freeze_while_writing(self, child: Child, after: int = 0) -> str | None:
        """Freeze the consumer within a transaction that has written, after some others; None if it was too quick.

        The last it did may have been to commit that transaction (`outcome`).
        """
        seen: set[str] = set()
        sent = self._sent()

        def frozen() -> bool:
            transaction = self.writing()
            if transaction is None or transaction in seen:
                return False
            if len(seen) < after:
                seen.add(transaction)
                return False
            child.pause()
            if self.writing() == transaction:
                return True
            child.resume()
            return False

        wait_for(
            lambda: frozen() or self._read() == sent or not child.running, within_seconds=DEADLINE_SECONDS, every=0.0
        )
        assert child.running, child.end()
        return self.writing()

    def judge(self) -> int:
        """Compare the database with what lies on the topic; returns the number of events."""
        lives = topics_reader.payments(one for one in topics_reader.whole(self.kafka, self.topic) if one.value)
        events = {event["event_id"]: event for life in lives.values() for event in life}
        stored = self.database.rows("SELECT event_id::text, event FROM payment_events")
        assert dict(stored) == events
        assert len(stored) == len(events)
        applied = Counter(self.database.rows("SELECT merchant, payment_id, sequence FROM audit"))
        assert set(applied.values()) == {1}, f"applied twice: {[one for one in applied.items() if one[1] > 1]}"
        assert applied.keys() == {(one["merchant"], one["payment_id"], one["sequence"]) for one in events.values()}
        newest = {key: life[-1] for key, life in lives.items()}
        assert dict(self.database.rows("SELECT merchant || '/' || payment_id, event FROM payments")) == newest
        assert self._booked() == {key: expected for key, event in newest.items() if (expected := erp.totals(event))}
        assert self.database.rows("SELECT * FROM payment_gaps") == []
        self._judge_goods(lives)
        return len(events)

    def _judge_goods(self, lives: dict[str, list[dict[str, Any]]]) -> None:
        """Each payment that was released once has left with its order, or by itself."""
        left: dict[str, set[tuple[str, str]]] = {"order": set(), "payment": set()}
        for life in lives.values():
            for event in life:
                if event["fulfilment"] == "release":
                    alone = event["order_id"] is None or "order_role" in event
                    of, name = ("payment", event["payment_id"]) if alone else ("order", event["order_id"])
                    left[of].add((event["merchant"], name))
        shipped = self.database.rows("SELECT goods_of, merchant, id FROM shipments")
        assert len(shipped) == len(set(shipped))
        assert {of: {(merchant, name) for one, merchant, name in shipped if one == of} for of in left} == left
        recalled = "SELECT merchant || '/' || payment_id FROM shipments WHERE recalled_by IS NOT NULL"
        stopped = {key for key, life in lives.items() if any(one["fulfilment"] == "stop" for one in life)}
        assert {key for (key,) in self.database.rows(recalled)} <= stopped

    def _booked(self) -> dict[str, dict[tuple[str, str], int]]:
        sums = self.database.rows(
            "SELECT merchant || '/' || payment_id, kind, currency, sum(value)::bigint FROM bookings "
            "GROUP BY 1, 2, 3 HAVING sum(value) <> 0"
        )
        booked: dict[str, dict[tuple[str, str], int]] = {}
        for payment, kind, currency, value in sums:
            booked.setdefault(payment, {})[kind, currency] = value
        return booked
