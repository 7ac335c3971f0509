"""Hands the events of ``payments.status`` to Odoo, one process for all of them. Free to copy.

An event is remembered when Odoo has answered, and its offset committed after that. A call that fails ends the process
with an error: a supervisor starts it again, and the record comes again.
"""

import json
import os
import sqlite3
import sys

from books import Books
from kafka import KafkaConsumer
from odoo import Odoo


def main() -> int:
    """Read for ever."""
    odoo = Odoo(os.environ["ODOO_URL"], os.environ["ODOO_API_KEY"], os.environ["ODOO_DATABASE"])
    books = Books(odoo, int(os.environ["ODOO_JOURNAL_ID"]))
    database = sqlite3.connect(os.environ.get("APPLIED", "applied.db"), isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS applied (payment TEXT PRIMARY KEY, sequence INTEGER)")
    consumer = KafkaConsumer(
        os.environ.get("TOPIC", "payments.status"),
        bootstrap_servers=os.environ.get("KAFKA", "localhost:9092"),
        group_id=os.environ.get("GROUP", "odoo"),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    for record in consumer:
        if record.value is not None:
            apply(database, books, record.key.decode(), json.loads(record.value))
        consumer.commit()
    return 0


def apply(database: sqlite3.Connection, books: Books, payment: str, event: dict[str, object]) -> None:
    """Apply the event unless it, or a newer one of its payment, was."""
    row = database.execute("SELECT sequence FROM applied WHERE payment = ?", (payment,)).fetchone()
    last, sequence = row[0] if row else 0, event["sequence"]
    assert isinstance(sequence, int)
    if sequence <= last:
        return
    if sequence > last + 1:
        print(f"gap: {payment} {sequence} after {last}", file=sys.stderr)
    books.apply(event)
    database.execute("INSERT OR REPLACE INTO applied VALUES (?, ?)", (payment, sequence))


if __name__ == "__main__":
    sys.exit(main())
