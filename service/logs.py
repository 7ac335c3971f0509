"""Logs: one JSON object per line on standard error.

Only names, counts, ids and words of closed lists are logged. Text from outside (bodies, headers, provider messages,
exception texts of other libraries) never is: it may contain secrets or personal data.

Lines of other libraries are rate-limited: while brokers are unavailable, clients log the same thing thousands of times
a second.
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

#: Lines of each place in another library's code that are logged within the window.
_MAX_LINES: Final = 5
_WINDOW_SECONDS: Final = 10.0
#: Places that are counted separately; all further ones share one count.
_MAX_PLACES: Final = 500


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
            # frames only: an exception's text may contain text from outside
            line["at"] = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])[-6:]]
        return orjson.dumps(line, default=str).decode()


class RateLimited(logging.Filter):
    """Passes the first lines of each place in a library's code in each window.

    The first line of a window has in ``left_out`` how many of the previous one were dropped. The project's own events
    all pass: each is logged where its number is limited by what happens.
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
                record.left_out = max(0, place.count - _MAX_LINES)
                place.since, place.count = now, 0
            place.count += 1
            return place.count <= _MAX_LINES

    def _place(self, where: tuple[str, int]) -> _Place:
        if where not in self._places and len(self._places) >= _MAX_PLACES:
            where = ("", 0)
        return self._places.setdefault(where, _Place(self._now()))


class _Place:
    """``count`` lines since ``since`` (monotonic)."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0


class _Hidden:
    """Replaces a value in another library's message. An error's class is shown, its text is not."""

    def __init__(self, quoted: object) -> None:
        self._shown = type(quoted).__name__ if isinstance(quoted, BaseException) else "..."

    def __repr__(self) -> str:
        return self._shown


def _without_quotes(record: logging.LogRecord) -> str:
    """Another library's message: its first line, with only its numbers filled in."""
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
    handler.addFilter(RateLimited())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns about settings that are intended
    logging.getLogger("paynotify").setLevel(level)


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event with its fields."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})
