"""Values as the bank writes them in JSON: numbers, amounts, times, and the words for an order's status.

Sources: the bank's API manual 1.7, SDK manual 1.20 and developer portal. An unknown word must neither lose the rest nor
be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from paynotify.processors.providers.json_body import readable_object
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.money import Money, from_minor
from paynotify.schemas.status import Status

STATUSES: Final[Mapping[str, Status]] = {
    "IN_PROGRESS": "pending",
    "COMPLETED": "captured",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
    "FAILURE": "failed",
}

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)\Z"
)
_DIGITS: Final = re.compile(r"-?[0-9]{1,18}\Z")
_LARGEST_EXACT_FLOAT: Final = 2.0**53


def instant(text: str) -> datetime | None:
    """An ISO 8601 point in time as the bank writes them; None where the text is not one.

    One to nine fraction digits or none, the offset with or without colon.
    """
    if not _INSTANT.match(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def plain_integer(value: object) -> str | None:
    """An integer in plain decimal as it is signed: from a number or digits, ``"00123"`` and ``123.0`` as ``123``."""
    if isinstance(value, str):
        return str(int(value)) if _DIGITS.match(value) else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT_FLOAT else None
    if isinstance(value, int) and not isinstance(value, bool) and _DIGITS.match(str(value)):
        return str(value)
    return None


def money(value: object) -> Money | None:
    """An amount of the bank's, or None where it can't be read."""
    if not isinstance(value, dict):
        return None
    try:
        return from_minor(plain_integer(value.get("amount")), value.get("currency"))
    except UnreadableError:
        return None


def objects(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list under ``name``; what is neither list nor object is left out."""
    value = holder.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def page_of(body: bytes) -> Mapping[str, Any]:
    """The object in a stored response.

    Raises:
        UnreadableError: the body is no JSON object, or an error of the bank.
    """
    return no_error(readable_object(body, lambda problem: UnreadableError(f"the page {problem}")))


def error_code_in(page: Mapping[str, Any]) -> object:
    """The code of the bank's error, which is an object with ``errorCode`` and no orders; None where it is none."""
    return None if page.get("orderResults") else page.get("errorCode")


def no_error(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object, unless it is an error of the bank.

    Raises:
        UnreadableError: it is one.
    """
    if error_code_in(page) is not None:
        raise UnreadableError("an error of the bank, not a page of results")
    return page
