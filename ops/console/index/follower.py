"""Keeps the index up to date: follows its topics without a consumer group, in a thread of its own.

The brokers know nothing of the console, and several consoles do not disturb each other. The positions are in the index.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.index.tables import TABLES
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import PaynotifyError
from paynotify.schemas.records import Record, to_record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

_PAUSE_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 2.0
#: How often it connects anew, which finds topics and partitions that are new.
_RECONNECT_SECONDS: Final = 60.0
#: An index that was not read for so long is made anew. Kafka removes tombstones after a day (``delete.retention.ms``):
#: whoever missed one would show a forgotten payment for ever, and not the events of its second life.
_AWAY_SECONDS: Final = 12 * 3600.0


#: Told by the follower's thread that the index has these records of a topic (its own name) now.
IndexListener = Callable[[str, Sequence[Record]], None]


@dataclass(frozen=True, slots=True)
class IndexAge:
    """How far the index is behind the topics, as every page says it.

    ``behind`` is how many offsets are not read yet; None before the brokers have told. ``seen_at`` is when they last
    told, in Unix seconds. ``problem`` is why they did not since. ``is_complete``: this process has reached the ends of
    the topics once; before, what is missing may only not be read yet.
    """

    behind: int | None = None
    seen_at: float = 0.0
    problem: str = ""
    is_complete: bool = False


class TopicFollower:
    """Fills ``index`` from `start` until `stop`, and tells ``listeners`` of what came. Any thread may read ``age``."""

    def __init__(
        self, configuration: Configuration, index: PaymentIndex, listeners: Sequence[IndexListener] = ()
    ) -> None:
        self._configuration = configuration
        self._index = index
        self._listeners = listeners
        self._names = {configuration.kafka.topic(one.topic): one.topic for one in TABLES}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._is_searchable = False
        self._is_complete = False
        self._log_starts: dict[TopicPartition, int] = {}
        self.age = IndexAge()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when nothing more is written."""
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                with TopicReader(self._configuration) as reader:
                    self._read(reader)
            except Exception as error:  # noqa: BLE001 - or the thread ends, and every page goes on to say "up to date"
                self.age = replace(self.age, problem=_problem(error))
                event(logger, "index_not_updated", level=logging.WARNING, error=type(error).__name__)
                self._stopping.wait(_RETRY_SECONDS)

    def _read(self, reader: TopicReader) -> None:
        """Read on until it is time to connect anew."""
        until_seconds = time.monotonic() + _RECONNECT_SECONDS
        partitions = reader.partitions(*self._names)
        self._begin_anew_if_other({one: reader.topic_ids[one] for one in self._names if one in reader.topic_ids})
        is_noted = False
        while not self._stopping.is_set() and time.monotonic() < until_seconds:
            positions = self._index.positions()
            wholes = reader.ranges(partitions)
            if any(positions.get(one.partition, 0) > one.end for one in wholes):
                self._begin_anew("topics_made_anew")
                positions = {}
            ranges = [self._unread(one, positions) for one in wholes]
            left = sum(one.length for one in ranges)
            self._tell(left)
            for (topic, number), read in reader.read(ranges):
                records = [to_record(one) for one in read]
                self._index.apply(topic, number, records, records[-1].offset + 1)
                for told in self._listeners:
                    told(self._names[topic], records)
                left -= len(records)
                self._tell(left)
                if self._stopping.is_set():
                    return
            for one in ranges:
                if one.length:  # its last offsets may hold no record
                    self._index.apply(*one.partition, [], one.end)
            if not self._is_searchable:
                self._index.add_search_indexes()
                self._is_searchable = True
            self._is_complete = True
            if not is_noted:
                self._index.note_read(time.time())
                is_noted = True
            self._tell(0)
            self._stopping.wait(_PAUSE_SECONDS)

    def _begin_anew_if_other(self, topic_ids: Mapping[str, str]) -> None:
        """Clear the index if it is too old, or of topics that were deleted and made anew, however many records they
        have by now."""
        read_at = self._index.read_at()
        if read_at is not None and time.time() - read_at > _AWAY_SECONDS:
            self._begin_anew("index_too_old_made_anew")
        if not self._index.is_of(topic_ids):
            self._begin_anew("topics_made_anew")
            self._index.is_of(topic_ids)

    def _begin_anew(self, why: str) -> None:
        event(logger, why, level=logging.WARNING)
        self._index.clear()
        self._is_complete = False

    def _unread(self, whole: OffsetRange, positions: Mapping[TopicPartition, int]) -> OffsetRange:
        """What of a partition the index has not read. Rows of records that are gone are removed on the way."""
        if self._log_starts.get(whole.partition) != whole.log_start:
            self._index.forget_before(*whole.partition, whole.log_start)
            self._log_starts[whole.partition] = whole.log_start
        return replace(whole, start=max(whole.start, positions.get(whole.partition, 0)))

    def _tell(self, left: int) -> None:
        """Offsets without a record count too, so the number may fall faster than records are read."""
        self.age = IndexAge(max(0, left), time.time(), is_complete=self._is_complete)


def _problem(error: Exception) -> str:
    """Why the index is not updated, for its pages. Of an error that nobody foresaw only its name: its text may hold
    what was in a record."""
    if isinstance(error, PaynotifyError):
        return str(error)
    if isinstance(error, sqlite3.Error | OSError):
        return f"Its file can't be written ({type(error).__name__}). Check the space and the rights of --index."
    return f"{type(error).__name__}."
