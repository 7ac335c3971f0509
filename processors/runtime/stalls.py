"""Stall detection: a partition has records, and nothing was committed for longer than a batch may take.

A worker can be alive, pass its probes and process nothing: its consumer delivers no records, or a batch never ends.
Only the brokers' own offsets show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

StagePartition: TypeAlias = tuple[str, str, int]
"""Runner, topic and partition."""


@dataclass(frozen=True, slots=True)
class _Committed:
    offset: int
    since_seconds: float


class StallDetector:
    """Tracks since when each partition's committed offset has not advanced. Times are monotonic."""

    def __init__(self) -> None:
        self._committed: dict[StagePartition, _Committed] = {}

    def observe(
        self, place: StagePartition, committed: int, lag: int, progressed_seconds: float, now_seconds: float
    ) -> float:
        """How long the partition has made no progress. ``progressed_seconds`` is when its batch last showed any."""
        known = self._committed.get(place)
        if lag <= 0 or known is None or known.offset != committed:
            self._committed[place] = _Committed(committed, now_seconds)
            return 0.0
        return now_seconds - max(known.since_seconds, progressed_seconds)

    def retain_only(self, places: Iterable[StagePartition]) -> None:
        """Forget all other partitions: they were revoked."""
        wanted = set(places)
        self._committed = {place: one for place, one in self._committed.items() if place in wanted}

    def reset(self) -> None:
        """Forget all partitions: the brokers were unreachable, which is no stall of this process."""
        self._committed.clear()
