"""Parses the times and durations that an operator passes as options."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.times import parse_time

_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_MIN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIME: Final = datetime(9000, 1, 1, tzinfo=UTC)

#: For the help of every option that takes a time.
TIME_FORMS: Final = "an RFC 3339 time such as 2026-11-23T09:00:00Z, or an age: 90s, 15m, 24h, 7d"


def parse_time_option(option: str, text: str | None, now: datetime | None = None) -> datetime | None:
    """The time that an option names as RFC 3339 or as an age before ``now``; None if the option was not given.

    Raises:
        ConfigurationError: the text is neither a time nor a duration, or the time lies outside 1970-9000.
    """
    if text is None:
        return None
    if _DURATION.match(text):
        age = parse_duration_option(option, text)
        present = now or datetime.now(UTC)
        found = present - age if age < present - _MIN_TIME else None
    else:
        found = parse_time(text)
        if found is None:
            raise ConfigurationError(f"{option} must be {TIME_FORMS}; got {text!r}.")
    # the tools add to and subtract from this time, and the result must stay within the calendar
    if found is None or not _MIN_TIME <= found < _MAX_TIME:
        raise ConfigurationError(f"{option} must be a time between 1970 and 9000, got {text!r}.")
    return found


def parse_duration_option(option: str, text: str) -> timedelta:
    """The duration that an option names.

    Raises:
        ConfigurationError: the text is not a duration.
    """
    matched = _DURATION.match(text)
    if not matched:
        raise ConfigurationError(f"{option} must be a duration such as 90s, 15m, 24h or 7d, got {text!r}.")
    return timedelta(**{_UNITS[matched[2]]: int(matched[1])})


def parse_window(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The times of ``--since`` and ``--until``.

    Raises:
        ConfigurationError: one of them is not a time, or ``--since`` is not before ``--until``.
    """
    start, end = parse_time_option("--since", since), parse_time_option("--until", until)
    if start is not None and end is not None and start >= end:
        raise ConfigurationError(f"--since must be before --until, got {since!r} and {until!r}.")
    return start, end
