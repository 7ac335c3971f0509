"""Which partitions stand still: records lie there, and nothing was committed for longer than a batch may take.

A worker can be alive, answer its probes and do nothing: its consumer delivers no more records, or a batch never ends.
Only the brokers' own offsets show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str, str, int]
"""Unit, topic and partition."""


@dataclass(frozen=True, slots=True)
class _Standing:
    committed: int
    since_seconds: float


class StallDetector:
    """Remembers since when each partition's committed offset has not moved. Times are monotonic."""

    def __init__(self) -> None:
        self._standing: dict[Place, _Standing] = {}

    def note(self, place: Place, committed: int, lag: int, moved_seconds: float, now_seconds: float) -> float:
        """How long the partition has stood still; ``moved_seconds`` is when it last showed another sign of progress."""
        known = self._standing.get(place)
        if lag <= 0 or known is None or known.committed != committed:
            self._standing[place] = _Standing(committed, now_seconds)
            return 0.0
        return now_seconds - max(known.since_seconds, moved_seconds)

    def keep(self, places: Iterable[Place]) -> None:
        """Forget all others: they are another worker's now."""
        wanted = set(places)
        self._standing = {place: one for place, one in self._standing.items() if place in wanted}

    def begin_anew(self) -> None:
        """Forget all: the brokers were away, and that is nobody's standstill."""
        self._standing.clear()
