"""The console's index: a SQLite file of what the topics say now. It may be deleted at any time, and is made again.

Rows and the positions up to which the topics were read change in one transaction. So after any crash the file holds
exactly what the records before its positions say.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from paynotify.ops.common.topic_reader import TopicPartition
from paynotify.ops.console.index.rows import Row
from paynotify.ops.console.index.tables import TABLES, Table
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.records import Record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: Changes with the tables: a file of another format is made anew.
FORMAT: Final = 6
#: With 32 MiB a million payments are written 8% faster and take 50 MB more.
_CACHE_KIBIBYTES: Final = 8 * 1024
_BUSY_SECONDS: Final = 10.0

_POSITIONS: Final = """
CREATE TABLE positions (
    topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID
"""
_TOPIC_IDS: Final = "CREATE TABLE topic_ids (topic TEXT PRIMARY KEY, id TEXT NOT NULL)"
_MOVE: Final = """
INSERT INTO positions VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset
"""


def create_statement(table: Table) -> str:
    """The SQL that makes a table."""
    columns = ", ".join(f'"{name}"' for name in table.columns)
    key = ", ".join(f'"{name}"' for name in table.key)
    return f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({key}))"


def write_statement(table: Table) -> str:
    """The SQL that writes a row, unless that of its key is newer."""
    places = ", ".join("?" for _ in table.columns)
    order = [f'"{name}"' for name in (*([table.newest] if table.newest else []), "partition", "offset")]
    rest = [f'"{name}"' for name in table.columns if name not in table.key]
    newer = (
        f"({', '.join(f'excluded.{one}' for one in order)}) >= ({', '.join(f'{table.name}.{one}' for one in order)})"
    )
    changes = ", ".join(f"{one} = excluded.{one}" for one in rest)
    insert = f"INSERT INTO {table.name} VALUES ({places})"  # noqa: S608 - names of `TABLES` alone
    return f"{insert} ON CONFLICT DO UPDATE SET {changes} WHERE {newer}"


def trim_statement(table: Table) -> str:
    """The SQL that removes all but the newest rows with the same first key column."""
    first, key = f'"{table.key[0]}"', ", ".join(f'"{name}"' for name in table.key)
    newest = f"SELECT {key} FROM {table.name} WHERE {first} = :first ORDER BY {key} DESC LIMIT {table.kept}"  # noqa: S608 - own names
    return f"DELETE FROM {table.name} WHERE {first} = :first AND ({key}) NOT IN ({newest})"  # noqa: S608 - own names


class PaymentIndex:
    """The file, written by one thread. ``names`` are the topics' names on the cluster, by their own.

    Raises:
        ConfigurationError: the file can't be made there.
    """

    def __init__(self, path: Path, names: Mapping[str, str], installation: str) -> None:
        self._tables = {names[one.topic]: one for one in TABLES}
        self._writes = {name: write_statement(one) for name, one in self._tables.items()}
        self._removals = {
            name: f"DELETE FROM {one.name} WHERE " + " AND ".join(f'"{key}" = ?' for key in one.key)  # noqa: S608
            for name, one in self._tables.items()
        }
        try:
            self._database = _opened(path, installation)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"The console's index {path} can't be used ({type(error).__name__}). Name a writable file by --index."
            ) from None
        self.unreadable = 0

    def close(self) -> None:
        self._database.close()

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset to read of each partition (by its topic's name on the cluster)."""
        found = self._database.execute("SELECT topic, partition, next_offset FROM positions")
        return {TopicPartition(topic, partition): offset for topic, partition, offset in found}

    def apply(self, topic: str, partition: int, records: Iterable[Record], next_offset: int) -> None:
        """Write what a partition's next records say, and that it was read up to there, in one transaction."""
        with self._database:
            self._database.execute("BEGIN")
            rows: list[Row] = []
            for record in records:
                row = self._row(topic, record)
                if row is not None:
                    rows.append(row)
                elif self._tables[topic].is_compacted and record.value is None and record.key is not None:
                    self._write(topic, rows)
                    self._database.execute(self._removals[topic], record.key.decode("utf-8", "replace").split("/", 1))
            self._write(topic, rows)
            self._database.execute(_MOVE, (topic, partition, next_offset))

    def is_of(self, topic_ids: Mapping[str, str]) -> bool:
        """Whether what was read is of these topics, by the brokers' ids; then they are noted."""
        found = dict(self._database.execute("SELECT topic, id FROM topic_ids"))
        if any(found.get(topic, one) != one for topic, one in topic_ids.items()):
            return False
        self._database.executemany("INSERT OR IGNORE INTO topic_ids VALUES (?, ?)", sorted(topic_ids.items()))
        return True

    def read_at(self) -> float | None:
        """When all topics were last read to their ends, in Unix seconds; None if they never were."""
        (found,) = self._database.execute("SELECT read_at FROM index_of").fetchone()
        return None if found is None else float(found)

    def note_read(self, at_seconds: float) -> None:
        """All topics were read to their ends."""
        self._database.execute("UPDATE index_of SET read_at = ?", (at_seconds,))

    def forget_before(self, topic: str, partition: int, log_start: int) -> None:
        """Remove the rows of records that the topic no longer has, where each record has a row of its own."""
        table = self._tables[topic]
        if table.is_of_records:
            statement = f'DELETE FROM {table.name} WHERE "partition" = ? AND "offset" < ?'  # noqa: S608 - its own name
            with self._database:
                self._database.execute(statement, (partition, log_start))

    def clear(self) -> None:
        """Begin anew: the topics are others than those that were read."""
        with self._database:
            self._database.execute("BEGIN")
            for name in ("positions", "topic_ids", *(one.name for one in TABLES)):
                self._database.execute(f"DELETE FROM {name}")  # noqa: S608 - names of `TABLES` alone
            self._database.execute("UPDATE index_of SET read_at = NULL")

    def add_search_indexes(self) -> None:
        """Make searches and lists fast. Called once all was read: each row costs twice as much with them."""
        for table in self._tables.values():
            for columns in (*((one, "merchant") for one in table.searched), *table.listed):
                name = f"{table.name}_by_{'_'.join(columns)}"
                names = ", ".join(f'"{one}"' for one in columns)
                self._database.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table.name} ({names})")

    def _write(self, topic: str, rows: list[Row]) -> None:
        if rows:
            self._database.executemany(self._writes[topic], rows)
            if self._tables[topic].kept:
                firsts = [{"first": one} for one in {row[0] for row in rows}]
                self._database.executemany(trim_statement(self._tables[topic]), firsts)
            rows.clear()

    def _row(self, topic: str, record: Record) -> Row | None:
        try:
            return self._tables[topic].read(record) if record.value is not None else None
        except UnreadableError:  # a shop's record, or one of a later release
            self.unreadable += 1
            return None


def _opened(path: Path, installation: str) -> sqlite3.Connection:
    """The file, made anew if it is of another format or installation, or no database."""
    wanted = (FORMAT, installation)
    is_new = not path.exists() or not path.stat().st_size
    try:
        with _connected(path) as database:
            if database.execute("SELECT format, installation FROM index_of").fetchone() == wanted:
                return database
        database.close()
        event(logger, "index_of_another_kind_made_anew", level=logging.WARNING)
    except sqlite3.Error:
        if not is_new:
            event(logger, "index_unreadable_made_anew", level=logging.WARNING)
    for one in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        one.unlink(missing_ok=True)
    with _connected(path) as database, database:
        database.execute("BEGIN")
        for statement in (*(create_statement(one) for one in TABLES), _POSITIONS, _TOPIC_IDS):
            database.execute(statement)
        database.execute("CREATE TABLE index_of (format INTEGER, installation TEXT, read_at REAL)")
        database.execute("INSERT INTO index_of VALUES (?, ?, NULL)", wanted)
    return database


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection, which is closed after an error alone."""
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for setting in ("journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{_CACHE_KIBIBYTES}"):
            database.execute(f"PRAGMA {setting}")
        yield database
    except BaseException:
        database.close()
        raise
