"""What calls by HTTP have in common, whether to providers or to subscribers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Final


def _version() -> str:
    try:
        return metadata.version("paynotify")
    except metadata.PackageNotFoundError:
        return "0"


#: A plain ``name/version``: OmniKassa's firewall has blocked longer ones.
USER_AGENT: Final = f"paynotify/{_version()}"


def retry_after_seconds(retry_after: str, now: datetime, longest_seconds: float) -> float | None:
    """``Retry-After`` in seconds, from a number or a date; None where it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), longest_seconds)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), longest_seconds)
