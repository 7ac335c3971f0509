"""All that happens, as one digest: two runs are the same if these are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

Written = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]


class History:
    """Every record appended and every event of the world, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self.counts: Counter[str] = Counter()
        self.records = 0

    def appended(self, place: tuple[str, int], at: float, records: Sequence[Written]) -> None:
        """Records lie on a log, one after the other."""
        self.records += len(records)
        parts = [f"{place[0]}/{place[1]}@{at!r}".encode()]
        for key, value, headers in records:
            parts += (key or b"", value or b"", *[text for _, text in headers])
        self._digest.update(b"\x1f".join(parts))

    def happened(self, kind: str, about: str) -> None:
        """Something else happened that a replay must show again."""
        self.counts[kind] += 1
        self._digest.update(f"\x1e{kind} {about}".encode())

    def digest(self) -> str:
        return self._digest.hexdigest()
