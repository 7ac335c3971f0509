"""Event ids: derived from content where a repeated event must have the same id, ordered by time elsewhere."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from typing import Final

#: The longest id of an order, payment, request or merchant that a shop may write, in characters.
MAX_ID_LENGTH: Final = 255

#: Derived ids (lookups, payment events) are UUIDv5 under this name, so a
#: record published again after a crash has the same id.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://paynotify/events/v1").bytes


#: A UUID's digit of which two bits are its variant, by the digit that was to be there.
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derived_id(*parts: str) -> str:
    """A UUIDv5 that depends on nothing but its parts."""
    name = _NAMESPACE + "\x1f".join(parts).encode()
    return _uuid_text(hashlib.sha1(name, usedforsecurity=False).hexdigest(), version=5)


def time_ordered_id() -> str:
    """A new UUIDv7: unique, and sorted by the millisecond of its creation."""
    milliseconds = time.time_ns() // 1_000_000
    return _uuid_text((milliseconds.to_bytes(6, "big") + os.urandom(10)).hex(), version=7)


def _uuid_text(digits: str, version: int) -> str:
    """A UUID's text from its 32 hex digits; `uuid.UUID` takes three times as long, and each record has one."""
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
