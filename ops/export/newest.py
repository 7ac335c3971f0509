"""Which events of a payment were seen, on disk: a million payments must not fill the memory."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from paynotify.schemas.times import parse_time

_PAGES_KIBIBYTES: Final = 16 * 1024
#: A payment that was deleted after years without a change, and is reported again, starts at sequence 1.
_STARTS_AGAIN_SECONDS: Final = 90 * 24 * 3600
_SCHEMA: Final = (
    "CREATE TABLE payment (key BLOB PRIMARY KEY, sequence INTEGER, observed_seconds INTEGER, line BLOB) WITHOUT ROWID"
)
_NEWER: Final = (
    "INSERT INTO payment VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
    "SET sequence = excluded.sequence, observed_seconds = excluded.observed_seconds, line = excluded.line "
    "WHERE excluded.sequence > payment.sequence "
    "OR excluded.observed_seconds > payment.observed_seconds + ?"
)


class SeenPayments:
    """The newest sequence of each payment, and the line of that event where one line is wanted for each payment.

    A context manager; its file is deleted with it. What it holds may be repeated from the topics, so nothing is synced.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="paynotify-export-")
        self._database = sqlite3.connect(Path(self._folder.name) / "payments", isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_PAGES_KIBIBYTES}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(_SCHEMA)
        self._database.execute("BEGIN")

    def __enter__(self) -> SeenPayments:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()
        self._folder.cleanup()

    def take(self, key: bytes, sequence: int, observed_at: str, line: bytes | None = None) -> bool:
        """Whether the event is newer than all before of its payment. A stage that ended in a batch publishes the batch
        again, so an event may be on the topic twice."""
        at = parse_time(observed_at)
        row = (key, sequence, int(at.timestamp()) if at is not None else 0, line, _STARTS_AGAIN_SECONDS)
        return self._database.execute(_NEWER, row).rowcount > 0

    def lines(self) -> Iterator[bytes]:
        """The line of each payment's newest event, in the order of the payments' keys."""
        for (line,) in self._database.execute("SELECT line FROM payment ORDER BY key"):
            yield line
