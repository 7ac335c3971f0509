"""Logs: one JSON object per line on standard error, for events that matter.

Only names, counts, ids and closed words are logged. Text from outside (bodies, headers, provider messages,
exception texts of other libraries) never is: it may hold secrets or personal data (G8).

What other libraries log is bounded: while brokers are away, clients say the same thing thousands of times a second.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_OWN: Final = "paynotify"

#: Of each place in another library's code, so many lines are logged in so many seconds.
_MOST_LINES: Final = 5
_WINDOW_SECONDS: Final = 10.0
#: Places that are counted apart from each other; all further ones together are one place.
_MOST_PLACES: Final = 500


class JsonLines(logging.Formatter):
    """One line per record; fields given as ``extra={"fields": {...}}`` stand beside the event's name."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "event": record.getMessage() if record.name.startswith(_OWN) else _without_quotes(record),
            **getattr(record, "fields", {}),
            **({"left_out": left_out} if (left_out := getattr(record, "left_out", 0)) else {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            # frames only: an exception's text may quote what came from outside
            line["at"] = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])[-6:]]
        return orjson.dumps(line, default=str).decode()


class Bounded(logging.Filter):
    """Lets through the first lines of each place in a library's code, and after a while the first ones again.

    The first line that is let through again says in ``left_out`` how many were not. Our own events are all let through:
    each of them is written where it is bounded by what happens.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()  # the consumers log in threads of their own
        self._places: dict[tuple[str, int], _Place] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(_OWN):
            return True
        with self._lock:
            place = self._place((record.pathname, record.lineno))
            now = self._now()
            if now - place.since >= _WINDOW_SECONDS:
                record.left_out = max(0, place.count - _MOST_LINES)
                place.since, place.count = now, 0
            place.count += 1
            return place.count <= _MOST_LINES

    def _place(self, where: tuple[str, int]) -> _Place:
        if where not in self._places and len(self._places) >= _MOST_PLACES:
            where = ("", 0)
        return self._places.setdefault(where, _Place(self._now()))


class _Place:
    """``count`` lines since ``since`` (monotonic)."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0


class _Hidden:
    """Stands for what another library wanted to quote: an error's class may be told, its text may not."""

    def __init__(self, quoted: object) -> None:
        self._shown = type(quoted).__name__ if isinstance(quoted, BaseException) else "..."

    def __repr__(self) -> str:
        return self._shown


def _without_quotes(record: logging.LogRecord) -> str:
    """Another library's message: its first line, in which only numbers are filled in."""
    line = str(record.msg).partition("\n")[0]
    if not isinstance(record.args, tuple):
        return line
    try:
        return line % tuple(one if isinstance(one, int | float) else _Hidden(one) for one in record.args)
    except (TypeError, ValueError):
        return line


def set_up(process: str, level: str = "INFO") -> None:
    """Send all logging of this process to standard error as JSON lines; libraries only from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process))
    handler.addFilter(Bounded())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # its warnings tell of settings we mean as they are
    logging.getLogger("paynotify").setLevel(level)


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event with its fields."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})
