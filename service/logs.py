"""Logs: one JSON object per line on standard error, for events that matter.

Only names, counts, ids and closed words are logged. Text from outside (bodies, headers, provider messages,
exception texts of other libraries) never is: it may hold secrets or personal data (G8).
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_OWN: Final = "paynotify"


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
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            # frames only: an exception's text may quote what came from outside
            line["at"] = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])[-6:]]
        return orjson.dumps(line, default=str).decode()


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # its warnings tell of settings we mean as they are
    logging.getLogger("paynotify").setLevel(level)


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event with its fields."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})
