"""Logs hold names, counts and closed words; nothing that came from outside."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from service.logs import JsonLines, event, set_up

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


def test_an_event_is_one_line_with_its_fields(lines: Any) -> None:
    event(logging.getLogger("paynotify.fetch"), "lookup dead", level=logging.WARNING, reason="not_found", tries=3)
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning", "process": "test", "logger": "paynotify.fetch", "event": "lookup dead",
        "reason": "not_found", "tries": 3,
    }  # fmt: skip


def test_an_exception_is_its_class_and_place_not_its_text(lines: Any) -> None:
    try:
        raise ValueError(f"card {SECRET}")
    except ValueError:
        logging.getLogger("paynotify.loop").exception("a step failed")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["at"][-1].startswith("test_an_exception_is_its_class")


def test_the_words_of_other_libraries_lose_what_they_quote(lines: Any) -> None:
    logging.getLogger("mode.service").error("[^%s]: Crashed reason=%r", "App", ValueError(SECRET))
    logging.getLogger("aiokafka").warning("request %d failed: %s", 7, SECRET)
    first, second = lines()
    assert first["event"] == "[^...]: Crashed reason=ValueError"
    assert second["event"] == "request 7 failed: ..."


def test_a_task_that_fails_unseen_tells_no_text(lines: Any) -> None:
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


def test_libraries_are_heard_from_warnings_on(lines: Any) -> None:
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("kafka").warning("chatter")
    logging.getLogger("paynotify.worker").info("working")
    assert [line["event"] for line in lines()] == ["working"]
