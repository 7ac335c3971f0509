"""Which seeds are tried: others for every commit and every day, the same again when they are named."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_BITS: Final = 32


def of_today() -> Iterator[int]:
    """New seeds for this commit and day, without end."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False)
    commit = found.stdout.strip() if found.returncode == 0 else ""
    text = f"{commit} {datetime.now(UTC):%Y-%m-%d}"
    first = int.from_bytes(hashlib.sha256(text.encode()).digest()[: _BITS // 8], "big")
    while True:
        yield first
        first = (first + 1) % 2**_BITS
