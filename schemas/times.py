"""Times in UTC, and as text: RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

#: A time in a message, RFC 3339 with offset. The JSON Schema says so; it is checked where a shop wrote it.
TimeText: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def utc_now() -> datetime:
    """The present moment, by this machine's clock."""
    return datetime.now(UTC)


def rfc3339(moment: datetime | None = None) -> str:
    """UTC with milliseconds and ``Z``; now, if no moment is given."""
    moment = moment or utc_now()
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def rfc3339_of(unix_seconds: float) -> str:
    """A moment in Unix seconds as `rfc3339` writes it."""
    return rfc3339(datetime.fromtimestamp(unix_seconds, UTC))


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 or ISO 8601 instant with offset, in UTC; None if the text is not one."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # overflow: in UTC it would be before the year 1 or after 9999
        return None
