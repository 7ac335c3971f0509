"""Jitter that is the same each time it is computed: whatever is repeated after a crash must have the same times."""

from __future__ import annotations

import hashlib


def fraction(text: str) -> float:
    """A number from 0 to 1, evenly spread over texts and always the same for one."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
