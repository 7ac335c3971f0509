"""What pages and programs ask the index. Each query is bounded, and reads one state of the file."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from paynotify.ops.console.index.tables import TABLES, Table
from paynotify.ops.console.lists.attention import ATTENTION
from paynotify.ops.console.lists.filters import Cursor, ListFilter
from paynotify.ops.console.lists.listing import (
    OWN_MERCHANTS,
    PAGE_ROWS,
    ListShape,
    count_statement,
    groups_statement,
    page_statement,
)
from paynotify.ops.console.payments.payment_rows import PaymentRows, read_payment_rows
from paynotify.schemas.messages import PaymentStatus, Reconciliation, decode_or_none
from paynotify.schemas.status import TOOK_MONEY
from paynotify.schemas.times import utc_now

#: A search by fewer characters would find everything.
LEAST_CHARACTERS: Final = 3
#: More than the parts of an order, or the payments of a subscription in forty years.
ORDER_ROWS: Final = 500
_PLACE: Final = '"partition" DESC, "offset" DESC'
_MAY_HAVE_MONEY: Final = ", ".join(f"'{one}'" for one in sorted(TOOK_MONEY | {"unknown"}))
_OF_ORDER: Final = {
    "payments": f"status NOT IN ({_MAY_HAVE_MONEY}), observed_at DESC, payment_id DESC",
    "requests": "at DESC, request_id DESC",
}
_AFTER_ALL: Final = "\U0010ffff"

IndexRow = dict[str, Any]
Message = TypeVar("Message")
#: The merchants that may be seen; None for all.
Merchants = Collection[str] | None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that a search found: its kind, which is its table's name, and its row."""

    kind: str
    row: IndexRow


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """Something that is 0 on a good day: its list, how many rows it has, and the time of the oldest."""

    title: str
    href: str
    count: int
    since: str | None


@dataclass(frozen=True, slots=True)
class ListPage:
    """Some rows of a list, and what the filter of the page with older ones names; None if there are none."""

    rows: tuple[IndexRow, ...]
    older: Cursor | None


class IndexQueries:
    """Reads the index from any thread, while the follower writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()  # never more than threads ask at the same time

    def close(self) -> None:
        """Close the connections, once nothing asks any more."""
        while self._idle:
            self._idle.pop().close()

    def search(self, text: str, merchants: Merchants = None) -> list[SearchHit]:
        """What has an id that begins with the text: payments first. None for a text that is too short."""
        if len(text) < LEAST_CHARACTERS:
            return []
        with self._state() as database:
            return [hit for table in TABLES for hit in _found(database, table, text, merchants)]

    def page(
        self, shape: ListShape, wanted: ListFilter, merchants: Merchants = None, now: datetime | None = None
    ) -> ListPage:
        """A page of a list.

        Raises:
            WrongFilterError: its ``before`` is not of this list.
        """
        with self._state() as database:
            found = _rows(database, *page_statement(shape, wanted, merchants, now or utc_now()))
        rows = tuple(found[:PAGE_ROWS])
        older = tuple(rows[-1][name] for name in shape.order) if len(found) > PAGE_ROWS else None
        return ListPage(rows, older)

    def groups(
        self,
        shape: ListShape,
        by: tuple[str, ...],
        wanted: ListFilter,
        merchants: Merchants = None,
        now: datetime | None = None,
    ) -> list[IndexRow]:
        """How many rows a list has, by those columns: the most first."""
        with self._state() as database:
            return _rows(database, *groups_statement(shape, by, wanted, merchants, now or utc_now()))

    def payment(self, merchant: str, payment_id: str) -> PaymentStatus | None:
        """The payment's newest event; None without one."""
        asked = "SELECT event FROM payments WHERE merchant = ? AND payment_id = ?"
        return self._message(asked, (merchant, payment_id), PaymentStatus)

    def order(self, merchant: str, order_id: str) -> dict[str, list[IndexRow]]:
        """What is known of an order, by table. Of its payments those come first that took money or may have: whoever
        adds them up misses none because of the many attempts beside them."""
        with self._state() as database:
            return {
                table.name: _rows(
                    database,
                    f"SELECT * FROM {table.name} WHERE merchant = ? AND order_id = ?"  # noqa: S608 - own names
                    f" ORDER BY {_OF_ORDER.get(table.name, _PLACE)} LIMIT ?",
                    (merchant, order_id, ORDER_ROWS),
                )
                for table in TABLES
                if {"merchant", "order_id"} <= set(table.columns)
            }

    def attention(self, merchants: Merchants = None, now: datetime | None = None) -> list[AttentionItem]:
        """Each of what must be 0 on a good day."""
        at = now or utc_now()
        with self._state() as database:
            return [
                AttentionItem(title, f"{path}{wanted.query()}", *database.execute(*counted).fetchone())
                for title, path, shape, wanted in ATTENTION
                for counted in (count_statement(shape, wanted, merchants, at),)
            ]

    def report(self, merchant: str, run_id: str) -> Reconciliation | None:
        """What a run of `paynotify reconcile` found; None without its report."""
        asked = "SELECT report FROM reconciliations WHERE merchant = ? AND run_id = ?"
        return self._message(asked, (merchant, run_id), Reconciliation)

    def payment_rows(self, provider: str, merchant: str, payment_id: str) -> PaymentRows:
        """What decides about one payment's goods, of one moment."""
        with self._state() as database:
            return read_payment_rows(database, provider, merchant, payment_id)

    def newest_of_statuses(self, merchants: Iterable[str], statuses: Iterable[str]) -> dict[tuple[str, str], str]:
        """When a payment of each merchant last got each status, of those that still have it."""
        asked = "SELECT max(observed_at) FROM payments WHERE merchant = ? AND status = ?"
        pairs = [(merchant, status) for status in statuses for merchant in merchants]
        with self._state() as database:
            found = {pair: database.execute(asked, pair).fetchone()[0] for pair in pairs}
        return {pair: at for pair, at in found.items() if at is not None}

    def silent(self) -> list[IndexRow]:
        """The providers that report nothing, as a whole or of one merchant, at most as many as a page has rows."""
        with self._state() as database:
            return _rows(database, "SELECT * FROM silent WHERE state = 'silent' ORDER BY since LIMIT ?", (PAGE_ROWS,))

    def _message(self, asked: str, values: tuple[str, ...], kind: type[Message]) -> Message | None:
        """The message that a row keeps; None without one, or if a later release wrote it."""
        with self._state() as database:
            found = database.execute(asked, values).fetchone()
        return decode_or_none(found[0], kind) if found is not None else None

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile, in one transaction: what it reads is of one moment."""
        try:
            database = self._idle.pop()
        except IndexError:
            database = self._connect()
        try:
            database.execute("BEGIN")
            try:
                yield database
            finally:
                database.execute("COMMIT")
        finally:
            self._idle.append(database)

    def _connect(self) -> sqlite3.Connection:
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        database.row_factory = sqlite3.Row
        return database


def _found(database: sqlite3.Connection, table: Table, text: str, merchants: Merchants) -> Iterator[SearchHit]:
    seen: set[Any] = set()
    may_see = "" if merchants is None else f" AND {OWN_MERCHANTS}"
    allowed = () if merchants is None else (json.dumps(sorted(merchants)),)
    for column in table.searched:
        begins = f'"{column}" >= ? AND "{column}" < ?{may_see}'
        asked = f'SELECT * FROM {table.name} WHERE {begins} ORDER BY "{column}" LIMIT ?'  # noqa: S608 - own names
        for row in _rows(database, asked, (text, text + _AFTER_ALL, *allowed, PAGE_ROWS)):
            key = tuple(row[name] for name in table.key)
            if key not in seen:
                seen.add(key)
                yield SearchHit(table.name, row)


def _rows(database: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[IndexRow]:
    return [dict(row) for row in database.execute(statement, values)]
