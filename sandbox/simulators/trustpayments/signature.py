"""The gateway's hash of a notification, written from its help pages and independent of the product's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

_UNSIGNED_FIELDS: Final = ("notificationreference", "responsesitesecurity")


def security_hash(fields: Mapping[str, str], password: str) -> str:
    """``responsesitesecurity``: values in byte order of their names, then the password, SHA-256."""
    names = sorted(name for name in fields if name not in _UNSIGNED_FIELDS)
    return hashlib.sha256(("".join(fields[name] for name in names) + password).encode()).hexdigest()
