"""All that happens, as one digest: two runs are the same if these are."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any


class History:
    """Every record appended and every event of the world, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self.counts: Counter[str] = Counter()
        self.records = 0

    def appended(self, record: Any) -> None:
        """A record lies on a log."""
        self.records += 1
        place = f"{record.topic}/{record.partition}@{record.timestamp!r}".encode()
        headers = [value for _, value in record.headers]
        self._digest.update(b"\x1f".join((place, record.key or b"", record.value or b"", *headers)))

    def happened(self, kind: str, about: str) -> None:
        """Something else happened that a replay must show again."""
        self.counts[kind] += 1
        self._digest.update(f"\x1e{kind} {about}".encode())

    def digest(self) -> str:
        return self._digest.hexdigest()
