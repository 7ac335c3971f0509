"""Logs hold names, counts and closed words; nothing that came from outside."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from paynotify.service.logs import JsonLines, RateLimited, event, set_up

SECRET = "4111111111111111"


@pytest.fixture
def lines() -> Iterator[Any]:
    """What is logged, line by line, as the processes log it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("kafka", "paynotify")}
    stream = io.StringIO()
    set_up("test")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines("test"))
    root.handlers[:] = [handler]

    def read() -> list[dict[str, Any]]:
        assert SECRET not in stream.getvalue()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = before
    root.setLevel(level)
    for name, known in levels.items():
        logging.getLogger(name).setLevel(known)


def test_log_event_is_one_line_with_its_fields(lines: Any) -> None:
    event(
        logging.getLogger("paynotify.fetch"), "lookup_dead_lettered", level=logging.WARNING, reason="not_found", tries=3
    )
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "process": "test",
        "logger": "paynotify.fetch",
        "event": "lookup_dead_lettered",
        "reason": "not_found",
        "tries": 3,
    }


def test_logged_exception_has_its_class_and_place_not_its_text(lines: Any) -> None:
    try:
        raise ValueError(f"card {SECRET}")
    except ValueError:
        logging.getLogger("paynotify.loop").exception("a step failed")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["at"][-1].startswith("test_logged_exception_has_its_class")


def test_log_lines_of_other_libraries_lose_their_values(lines: Any) -> None:
    logging.getLogger("mode.service").error("[^%s]: Crashed reason=%r", "App", ValueError(SECRET))
    logging.getLogger("aiokafka").warning("request %d failed: %s", 7, SECRET)
    first, second = lines()
    assert first["event"] == "[^...]: Crashed reason=ValueError"
    assert second["event"] == "request 7 failed: ..."


def test_logged_failure_of_a_task_has_no_text(lines: Any) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
        )

    asyncio.run(forget())
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert line["error"] == "ValueError"


def test_log_lines_of_libraries_start_at_warning(lines: Any) -> None:
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("kafka").warning("chatter")
    logging.getLogger("paynotify.worker").info("worker_started")
    assert [line["event"] for line in lines()] == ["worker_started"]


def _said(bounded: RateLimited, name: str, times: int, line: int = 1) -> list[int | None]:
    """Of so many lines of one place in a library's code, those let through, by how many were left out before."""
    through: list[int | None] = []
    for _ in range(times):
        record = logging.LogRecord(name, logging.ERROR, "client.py", line, "away", (), None)
        if bounded.filter(record):
            through.append(getattr(record, "left_out", None))
    return through


def test_log_lines_of_a_library_are_limited_and_counted() -> None:
    now = [0.0]
    bounded = RateLimited(lambda: now[0])
    assert _said(bounded, "aiokafka", 5000) == [None] * 5
    now[0] += 9.9
    assert not _said(bounded, "aiokafka", 1)
    now[0] += 0.1
    assert _said(bounded, "aiokafka", 7) == [4996, None, None, None, None]
    now[0] += 10.0
    assert _said(bounded, "aiokafka", 1) == [2]


def test_log_places_are_limited_separately_and_own_events_are_not() -> None:
    bounded = RateLimited(lambda: 0.0)
    _said(bounded, "aiokafka", 100)
    assert len(_said(bounded, "aiokafka", 100, line=2)) == 5
    assert len(_said(bounded, "paynotify.loop", 100)) == 100


def test_log_places_are_limited_in_number() -> None:
    bounded = RateLimited(lambda: 0.0)
    assert sum(len(_said(bounded, "some", 1, line=line)) for line in range(1000)) == 505


def test_log_line_has_the_number_of_those_left_out() -> None:
    record = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 1, "away", (), None)
    assert "left_out" not in json.loads(JsonLines("test").format(record))
    record.left_out = 4996
    assert json.loads(JsonLines("test").format(record))["left_out"] == 4996


def test_set_up_logs_json_lines() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up("test")
        assert [type(one) for one in root.handlers[0].filters] == [RateLimited]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
