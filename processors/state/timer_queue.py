"""What a stage's state must come back to, and when: entries in order of time, lane by lane.

An entry is a key of the state, so it is as durable as everything else there. Lanes part what is paced apart, such as
one merchant's lookups from another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from processors.state.partition_state import Overlay
from schemas.times import parse_time

_PREFIX: Final = b"due\0"
_TIME_BYTES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Keys(Protocol):
    """A state whose keys can be read in order."""

    def first(self, prefix: bytes, below: bytes, most: int) -> Sequence[bytes]: ...


@dataclass(frozen=True, slots=True)
class Timer:
    """One thing that is due, in Unix time: ``name`` is the stage's own."""

    lane: str
    due_milliseconds: int
    name: str

    @property
    def key(self) -> bytes:
        """Its key in the state: entries of a lane are in order of time."""
        return _start(self.lane) + _moment(self.due_milliseconds) + self.name.encode()


def add(state: Overlay, entry: Timer) -> None:
    """Let the time be told when it has come."""
    state.put(entry.key, b"1")


def remove(state: Overlay, entry: Timer) -> None:
    """It has come, or nobody waits for it any more."""
    state.remove(entry.key)


def due(state: Keys, lane: str, now: datetime, most: int) -> list[Timer]:
    """The lane's entries whose time has come, the oldest first."""
    start = _start(lane)
    keys = state.first(start, start + _moment(milliseconds(now) + 1), most)
    return [_entry(lane, key[len(start) :]) for key in keys]


def _entry(lane: str, rest: bytes) -> Timer:
    return Timer(lane, int.from_bytes(rest[:_TIME_BYTES], "big"), rest[_TIME_BYTES:].decode())


def _start(lane: str) -> bytes:
    return _PREFIX + lane.encode() + b"\0"


def _moment(unix_milliseconds: int) -> bytes:
    return max(0, unix_milliseconds).to_bytes(_TIME_BYTES, "big")


def milliseconds(moment: datetime) -> int:
    """The moment in Unix time; parts of a millisecond are left out, as in texts."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_milliseconds(text: str) -> int:
    """The RFC 3339 time in Unix milliseconds; 0 for a time before 1970, which no key can hold, and for any other
    text."""
    moment = parse_time(text)
    return max(0, milliseconds(moment)) if moment is not None else 0


def moment_of(unix_milliseconds: int) -> datetime:
    """The moment of a Unix time."""
    return _EPOCH + timedelta(milliseconds=unix_milliseconds)
