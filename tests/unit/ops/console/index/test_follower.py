"""The follower: whatever happens to it, the pages never call an index up to date that nobody updates."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition
from paynotify.ops.console.index import follower as module
from paynotify.ops.console.index.follower import TopicFollower
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from tests.fakes.console_topics import NAMES, newest_record, payment_status


class OneTopicReader:
    """Reads one partition of one topic, and finds no records."""

    topic_ids: Mapping[str, str] = {}
    asked = 0

    def __init__(self, configuration: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def partitions(self, *_: str) -> list[TopicPartition]:
        return [TopicPartition(topics.LATEST, 0)]

    def read(self, ranges: Any) -> Iterator[Any]:
        return iter(())


class EmptyReader(OneTopicReader):
    """Has read everything at once, and stops the follower when it is asked a second time."""

    follower: TopicFollower

    def ranges(self, wanted: list[TopicPartition]) -> list[OffsetRange]:
        self.asked += 1
        if self.asked > 1:
            self.follower._stopping.set()
        return [OffsetRange(one, 0, 1) for one in wanted]


@pytest.mark.parametrize(
    ("away_seconds", "topic_id", "kept"), [(3600.0, "first", 1), (13 * 3600.0, "first", 0), (1.0, "second", 0)]
)
def test_index_of_missed_tombstones_or_other_topics_is_made_anew(
    away_seconds: float, topic_id: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = type("Reader", (EmptyReader,), {"topic_ids": {topics.LATEST: topic_id}})
    monkeypatch.setattr(module, "TopicReader", reader)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.001)
    index = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test")
    index.apply(topics.LATEST, 0, [newest_record(0, payment_status("p", 5))], 1)
    assert index.is_of({topics.LATEST: "first"})
    began = time.time()
    index.note_read(began - away_seconds)
    follower = reader.follower = TopicFollower(Configuration(merchants=()), index)  # type: ignore[attr-defined]
    follower.start()
    follower._thread.join(10)
    assert (index.read_at() or 0.0) >= began, "noted again"
    assert index.is_of({topics.LATEST: topic_id})
    index.close()
    database = sqlite3.connect(tmp_path / "index.sqlite")
    assert database.execute("SELECT count(*) FROM payments").fetchone() == (kept,)
    database.close()


class FailingReader(OneTopicReader):
    """Reaches the end once; then each question fails. ``failed`` is set by the second failure."""

    error: Exception
    failed: threading.Event

    def ranges(self, wanted: list[TopicPartition]) -> list[OffsetRange]:
        kind = type(self)
        kind.asked += 1
        if kind.asked == 1:
            return [OffsetRange(one, 0, 0) for one in wanted]
        if kind.asked > 2:
            kind.failed.set()
        raise kind.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sqlite3.OperationalError("database or disk is full"), "can't be written (OperationalError)"),
        (OverflowError("4111111111111111 is too large"), "OverflowError."),
    ],
)
def test_follower_goes_on_and_tells_it_whatever_fails(
    error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = type("Reader", (FailingReader,), {"error": error, "failed": threading.Event()})
    monkeypatch.setattr(module, "TopicReader", reader)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.001)
    index = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test")
    follower = TopicFollower(Configuration(merchants=()), index)
    follower.start()
    try:
        assert reader.failed.wait(10)  # type: ignore[attr-defined]
        assert told in follower.age.problem
        assert "4111111111111111" not in follower.age.problem
    finally:
        follower.stop()
        index.close()
