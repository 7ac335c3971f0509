"""What pages and programs ask the index. Each query is bounded, and reads one state of the file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paynotify.ops.console.tables import TABLES, Table
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode

#: The rows of a list, and of each kind that a search finds.
PAGE_ROWS: Final = 50
#: A search by fewer characters would find everything.
LEAST_CHARACTERS: Final = 3
_AFTER_ALL: Final = "\U0010ffff"

IndexRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that a search found: its kind, which is its table's name, and its row."""

    kind: str
    row: IndexRow


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """Something that is 0 on a good day: how often it is the case, and since when, where that is known."""

    name: str
    count: int
    since: str | None


_IS_ENDED: Final = "EXISTS (SELECT 1 FROM actions AS other WHERE other.action_id = actions.action_id AND other.ended)"

#: What must be 0 on a good day: its name, the table, the condition, and the column that says since when.
_ATTENTION: Final = (
    ("overdue", "overdue", "state = 'raised'", "final_by"),
    ("rejected", "rejected", "1", "at"),
    ("dead", "dead", "1", "at"),
    ("uncertain charges", "requests", "state IN ('started', 'uncertain')", "at"),
    ("silent providers", "silent", "state = 'silent'", "since"),
    ("cases", "cases", "kind != 'corrected'", "at"),
    ("held payments", "payments", "fulfilment = 'hold' AND status = 'unknown'", "observed_at"),
    ("actions that did not end", "actions", f"ended = 0 AND NOT {_IS_ENDED}", "at"),
)


class IndexQueries:
    """Reads the index from any thread, while the follower writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def search(self, text: str) -> list[SearchHit]:
        """What has an id that begins with the text: payments first. None for a text that is too short."""
        if len(text) < LEAST_CHARACTERS:
            return []
        with self._state() as database:
            return [hit for table in TABLES for hit in _found(database, table, text)]

    def payment(self, merchant: str, payment_id: str) -> PaymentStatus | None:
        """The payment's newest event; None without one."""
        with self._state() as database:
            asked = "SELECT event FROM payments WHERE merchant = ? AND payment_id = ?"
            found = database.execute(asked, (merchant, payment_id)).fetchone()
        try:
            return decode(found["event"], PaymentStatus) if found is not None else None
        except UnreadableError:  # of a later release
            return None

    def order(self, merchant: str, order_id: str) -> dict[str, list[IndexRow]]:
        """What is known of an order, by table."""
        with self._state() as database:
            return {
                table.name: _rows(
                    database,
                    f"SELECT * FROM {table.name} WHERE merchant = ? AND order_id = ? LIMIT ?",  # noqa: S608 - own names
                    (merchant, order_id, PAGE_ROWS),
                )
                for table in TABLES
                if {"merchant", "order_id"} <= set(table.columns)
            }

    def attention(self) -> list[AttentionItem]:
        """Each of what must be 0 on a good day."""
        with self._state() as database:
            return [
                AttentionItem(name, *database.execute(statement).fetchone())
                for name, table, condition, since in _ATTENTION
                for statement in (f"SELECT count(*), min({since}) FROM {table} WHERE {condition}",)  # noqa: S608
            ]

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread's, in one transaction: what it reads is of one moment."""
        database = getattr(self._own, "database", None)
        if database is None:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            database = self._own.database = sqlite3.connect(address, uri=True, isolation_level=None)
            database.row_factory = sqlite3.Row
        database.execute("BEGIN")
        try:
            yield database
        finally:
            database.execute("COMMIT")


def _found(database: sqlite3.Connection, table: Table, text: str) -> Iterator[SearchHit]:
    seen: set[Any] = set()
    for column in table.searched:
        asked = f'SELECT * FROM {table.name} WHERE "{column}" >= ? AND "{column}" < ? LIMIT ?'  # noqa: S608 - own names
        for row in _rows(database, asked, (text, text + _AFTER_ALL, PAGE_ROWS)):
            key = tuple(row[name] for name in table.key)
            if key not in seen:
                seen.add(key)
                yield SearchHit(table.name, row)


def _rows(database: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[IndexRow]:
    return [dict(row) for row in database.execute(statement, values)]
