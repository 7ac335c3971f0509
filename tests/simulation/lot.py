"""Chance that hangs on what it is drawn for, and not on what was drawn before.

With one less payment in a run, everything about the others is drawn as it was. So a schedule can be made shorter and
still fail.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

_RANGE: Final = 2.0**32
_MIXED: Final = 2654435761


class Lot:
    """Numbers from 0 to 1 for a purpose and a key: the first, the second and so on of each."""

    def __init__(self, seed: str) -> None:
        self._seed = crc32(seed.encode())
        self._drawn: dict[tuple[str, bytes | None], int] = {}

    def __call__(self, purpose: str, key: bytes | None) -> float:
        about = purpose, key
        number = self._drawn.get(about)
        if number is None:
            number = crc32(key or b"", crc32(purpose.encode(), self._seed))
        number = self._drawn[about] = (number * _MIXED + 12345) & 0xFFFFFFFF
        return (number ^ number >> 15) / _RANGE
