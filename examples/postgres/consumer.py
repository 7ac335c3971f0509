"""Applies every event of ``payments.status`` to PostgreSQL exactly once. Free to copy.

The event, its effect and the offset are one transaction, so a crash at any moment neither loses nor repeats an event.
Start up to as many as the topic has partitions. The environment names the database (``PGHOST``, ``PGDATABASE`` and so
on). It ends with exit code 1 when it can't go on, as when the database restarts: let systemd or Kubernetes restart it.
"""

import argparse
import json
import signal
import sys
import uuid
from contextlib import closing
from typing import Any

import psycopg
from bookings import book
from goods import move_goods
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from psycopg.types.json import Jsonb

Database = psycopg.Connection[tuple[Any, ...]]


class FencedError(Exception):
    """Another consumer has the partition now."""


class UnreadableError(Exception):
    """A record that can't be applied. To skip it would be a gap, so a person decides."""


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Takes the partitions that Kafka assigns, and continues each where the database is."""

    def __init__(self, database: Database, consumer: KafkaConsumer, name: str) -> None:
        self.database, self.consumer, self.name = database, consumer, name
        self.owner = uuid.uuid4()

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        for place in assigned:
            # waits for a transaction of the former owner, who can't begin another
            taken = self.database.execute(
                "INSERT INTO consumer_offsets VALUES (%s, %s, %s, NULL, %s) ON CONFLICT (consumer, topic, partition) "
                "DO UPDATE SET owner = EXCLUDED.owner RETURNING next_offset",
                (self.name, place.topic, place.partition, self.owner),
            )
            ((next_offset,),) = taken.fetchall()
            if next_offset is None:
                self.consumer.seek_to_beginning(place)
            else:
                self.consumer.seek(place, next_offset)

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing: every batch has stored its offset already."""

    def store(self, place: TopicPartition, next_offset: int) -> None:
        """Store the offset; first in the transaction, as it holds off whoever takes the partition until the commit."""
        stored = self.database.execute(
            "UPDATE consumer_offsets SET next_offset = %s WHERE (consumer, topic, partition, owner) = (%s, %s, %s, %s)",
            (next_offset, self.name, place.topic, place.partition, self.owner),
        )
        if stored.rowcount != 1:
            raise FencedError(f"{place.topic}/{place.partition} belongs to another consumer now; nothing was written")


def apply(database: Database, event: dict[str, Any]) -> None:
    """Apply one event within the caller's transaction."""
    event_id, sequence, payment = event["event_id"], event["sequence"], (event["merchant"], event["payment_id"])
    new = database.execute(
        "INSERT INTO payment_events (event_id, merchant, payment_id, sequence, event) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (event_id) DO NOTHING",
        (event_id, *payment, sequence, Jsonb(event)),
    )
    if not new.rowcount:
        return  # a repeat, which is the same event with the same id
    of_payment = "SELECT sequence FROM payments WHERE (merchant, payment_id) = (%s, %s)"
    known = database.execute(of_payment, payment).fetchone()
    expected = known[0] + 1 if known else 1
    if sequence != expected:
        database.execute(
            "INSERT INTO payment_gaps VALUES (%s, %s, %s, %s, %s)", (event_id, *payment, expected, sequence)
        )
        print(f"gap: {'/'.join(payment)} has event {sequence}, not {expected}: see payment_gaps", file=sys.stderr)
    if sequence < expected:
        return  # what is known is newer
    database.execute(
        "INSERT INTO payments VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (merchant, payment_id) DO UPDATE SET "
        "(sequence, order_id, status, fulfilment, observed_at, event) = (EXCLUDED.sequence, EXCLUDED.order_id, "
        "EXCLUDED.status, EXCLUDED.fulfilment, EXCLUDED.observed_at, EXCLUDED.event)",
        (
            *payment,
            sequence,
            *(event[name] for name in ("order_id", "status", "fulfilment", "observed_at")),
            Jsonb(event),
        ),
    )
    book(database, event)  # the effects: put yours here, and write to this database only
    move_goods(database, event)
    told = {name: event[name] for name in ("merchant", "payment_id", "sequence", "status", "fulfilment")}
    database.execute("SELECT pg_notify('payments', %s)", (json.dumps(told),))  # delivered with the commit


def apply_batch(database: Database, ownership: Ownership, place: TopicPartition, records: list[Any]) -> None:
    while True:
        try:
            with database.transaction():
                ownership.store(place, records[-1].offset + 1)
                for record in records:
                    apply_record(database, record)
        except psycopg.errors.DeadlockDetected:
            continue  # payments of the same orders were with another consumer: nothing was written, so once more
        return


def apply_record(database: Database, record: Any) -> None:
    if record.value is None:
        return  # a tombstone (payments.latest) says that paynotify forgot the payment; books stay
    try:
        apply(database, json.loads(record.value))
    except (ValueError, TypeError, LookupError, psycopg.DataError) as error:
        place = f"{record.topic}/{record.partition} offset {record.offset}"
        raise UnreadableError(f"{place} can't be applied, and nothing after it is read") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="localhost:9092", help="Kafka's HOST:PORT (default %(default)s)")
    parser.add_argument("--topic", default="payments.status", help="default %(default)s")
    parser.add_argument("--name", default="erp", help="of the group and of the stored offsets (default %(default)s)")
    parser.add_argument("--session-seconds", type=int, default=45, help="Kafka gives a silent one's partitions away")
    arguments = parser.parse_args()
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.append(number))
    kafka = KafkaConsumer(
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.name,
        enable_auto_commit=False,
        auto_offset_reset="none",  # an offset that the topic does not have is an error, and never a silent gap
        session_timeout_ms=arguments.session_seconds * 1000,
        heartbeat_interval_ms=arguments.session_seconds * 1000 // 3,
    )
    # a frozen consumer must not hold a partition for ever: PostgreSQL ends its transaction
    options = f"-c idle_in_transaction_session_timeout={arguments.session_seconds}s"
    with psycopg.connect(autocommit=True, options=options) as database, closing(kafka):
        ownership = Ownership(database, kafka, arguments.name)
        kafka.subscribe([arguments.topic], listener=ownership)
        while not stopped:
            for place, records in kafka.poll(timeout_ms=500).items():
                apply_batch(database, ownership, place, records)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (FencedError, UnreadableError, psycopg.Error, KafkaError) as error:
        because = f" ({error.__cause__!r})" if error.__cause__ else ""
        sys.exit(f"stopped: {error}{because}")
