"""Times as an operator gives them, and the numbers Kafka wants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.errors import ConfigurationError
from schemas.times import parse_time

_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)

#: For the help of every option that takes a time.
FORMS: Final = "an RFC 3339 time such as 2026-11-23T09:00:00Z, or how long ago: 90s, 15m, 24h, 7d"


def moment(option: str, text: str | None, now: datetime | None = None) -> datetime | None:
    """The time an option names; none where it was not given.

    Raises:
        ConfigurationError: it is neither a time nor a duration, or of no year in which there is Kafka.
    """
    if text is None:
        return None
    if _AGO.match(text):
        ago = duration(option, text)
        present = now or datetime.now(UTC)
        found = present - ago if ago < present - _EARLIEST else None
    else:
        found = parse_time(text)
        if found is None:
            raise ConfigurationError(f"{option} {text!r} is not a time. Give {FORMS}.")
    # what is taken from or added to it must stay within the calendar
    if found is None or not _EARLIEST <= found < _LATEST:
        raise ConfigurationError(f"{option} {text!r} is before 1970 or after 9000. Give {FORMS}.")
    return found


def duration(option: str, text: str) -> timedelta:
    """How long an option says.

    Raises:
        ConfigurationError: it is no duration.
    """
    given = _AGO.match(text)
    if not given:
        raise ConfigurationError(f"{option} {text!r} is no duration. Give one such as 90s, 15m, 24h or 7d.")
    return timedelta(**{_UNITS[given[2]]: int(given[1])})


def window(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Both ends of a window.

    Raises:
        ConfigurationError: one is no time, or the window is empty.
    """
    start, end = moment("--since", since), moment("--until", until)
    if start is not None and end is not None and start >= end:
        raise ConfigurationError("--since is not before --until, so there is nothing between them. Swap the two.")
    return start, end
