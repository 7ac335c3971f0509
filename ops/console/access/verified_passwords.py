"""Remembers which passwords were right, so that a page does not cost what checking one does."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_SECONDS: Final = 300.0
_MAX_ENTRIES: Final = 200


class VerifiedPasswords:
    """Keeps neither names nor passwords, only keyed digests of both with the hash: a changed hash counts at once."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def has(self, name: str, password: str, written: str) -> bool:
        """Whether it was right for this hash within the last minutes."""
        return self._until.get(self._digest(name, password, written), 0.0) > self._now()

    def add(self, name: str, password: str, written: str) -> None:
        """Remember that it was right."""
        digest = self._digest(name, password, written)
        self._until[digest] = self._now() + _SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > _MAX_ENTRIES:
            self._until.popitem(last=False)

    def _digest(self, *parts: str) -> bytes:
        return hmac.new(self._key, "\0".join(parts).encode(), hashlib.sha256).digest()
