"""Reads ``payments.status`` as a shop's own system would: applies every event once and records gaps.

The demo's, on SQLite, because it needs no server. What to copy is ``examples/postgres``, which does the same on
PostgreSQL and can run more than once.

An event's effect, its id and the offset are written in one SQLite transaction, so a crash at any moment neither
repeats nor loses an event. Kafka stores no offset.
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

#: Writes the effect of one event, within the caller's transaction.
ApplyEvent = Callable[[sqlite3.Connection, dict[str, Any]], None]

_TABLES = """
CREATE TABLE IF NOT EXISTS offsets (reader, topic, partition, next, PRIMARY KEY (reader, topic, partition));
CREATE TABLE IF NOT EXISTS applied (reader, event_id, PRIMARY KEY (reader, event_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (reader, payment, sequence, PRIMARY KEY (reader, payment));
CREATE TABLE IF NOT EXISTS gaps (reader, payment, expected, found, event_id);
CREATE TABLE IF NOT EXISTS unreadable (reader, topic, partition, offset);
CREATE TABLE IF NOT EXISTS repeats (reader PRIMARY KEY, count);
"""


def open_database(path: str, tables: str) -> sqlite3.Connection:
    """Open the database and create the reader's tables and those of the effect; transactions are explicit."""
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES + tables)
    return database


def apply_batch(database: sqlite3.Connection, reader: str, records: Iterable[Any], effect: ApplyEvent) -> None:
    """Apply records (``topic``, ``partition``, ``offset``, ``value``) in one transaction: all of them or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for record in records:
            place = (reader, record.topic, record.partition)
            _apply(database, place, record, effect)
            database.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?)", (*place, record.offset + 1))
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _apply(database: sqlite3.Connection, place: tuple[str, str, int], record: Any, effect: ApplyEvent) -> None:
    try:
        event = json.loads(record.value)
        reader, event_id, sequence = place[0], event["event_id"], event["sequence"]
        payment = f"{event['merchant']}/{event['payment_id']}"
    except (ValueError, KeyError, TypeError):
        database.execute("INSERT INTO unreadable VALUES (?, ?, ?, ?)", (*place, record.offset))
        return
    if not database.execute("INSERT OR IGNORE INTO applied VALUES (?, ?)", (reader, event_id)).rowcount:
        database.execute(
            "INSERT INTO repeats VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1", (reader,)
        )  # delivery is at least once: a repeat is the same event with the same id
        return
    known = database.execute("SELECT sequence FROM positions WHERE reader = ? AND payment = ?", (reader, payment))
    expected = next(known, (0,))[0] + 1
    if sequence != expected:  # recorded for a person; the event is still the newest status
        database.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?)", (reader, payment, expected, sequence, event_id))
    if sequence >= expected:
        database.execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (reader, payment, sequence))
        effect(database, event)


def main(name: str, tables: str, effect: ApplyEvent) -> int:
    """Read until SIGTERM or SIGINT; exit code 0."""
    parser = argparse.ArgumentParser(prog=f"sandbox.{name}")
    parser.add_argument("--bootstrap", default="localhost:9092", help="Kafka's HOST:PORT (default %(default)s)")
    parser.add_argument("--topic", default="payments.status", help="default %(default)s")
    parser.add_argument("--database", required=True, metavar="FILE")
    parser.add_argument("--group", default=name, help="name of the stored offsets (default %(default)s)")
    arguments = parser.parse_args()
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.append(number))
    consumer = KafkaConsumer(bootstrap_servers=arguments.bootstrap, enable_auto_commit=False)
    with closing(open_database(arguments.database, tables)) as database, closing(consumer):
        while not (partitions := consumer.partitions_for_topic(arguments.topic)) and not stopped:
            time.sleep(0.2)
        places = [TopicPartition(arguments.topic, partition) for partition in sorted(partitions or ())]
        consumer.assign(places)
        for place in places:
            stored = database.execute(
                "SELECT next FROM offsets WHERE reader = ? AND topic = ? AND partition = ?",
                (arguments.group, *place[:2]),
            ).fetchone()
            consumer.seek(place, stored[0]) if stored else consumer.seek_to_beginning(place)
        print(json.dumps({"event": "reading", "reader": arguments.group}), file=sys.stderr, flush=True)
        while not stopped:
            batches = consumer.poll(timeout_ms=500)
            if batches:
                records = [record for batch in batches.values() for record in batch]
                apply_batch(database, arguments.group, records, effect)
    print(json.dumps({"event": "stopped", "reader": arguments.group}), file=sys.stderr)
    return 0
