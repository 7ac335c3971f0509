"""Durable timers in a stage's state: queues of timers, each in order of time.

A timer is a key of the state, so it is as durable as every other value. Separate queues hold timers that are paced
separately, such as one merchant's status checks and another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.store import SortedKeys
from paynotify.schemas.messages import TimeReached
from paynotify.schemas.times import parse_time

#: The value of every timer.
STARTED: Final = b"1"

_PREFIX: Final = b"due\0"
_TIME_BYTES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a queue, due at a Unix time. ``name`` is the stage's own."""

    queue: str
    due_milliseconds: int
    name: str

    @property
    def key(self) -> bytes:
        """Its key in the state: the timers of a queue sort by time."""
        return _queue_prefix(self.queue) + _sortable(self.due_milliseconds) + self.name.encode()


def add(state: Overlay, timer: Timer) -> None:
    """Start the timer."""
    state.put(timer.key, STARTED)


def remove(state: Overlay, timer: Timer) -> None:
    """Remove a timer that was handled or is no longer wanted."""
    state.delete(timer.key)


def cut_short_safely(changes: Mapping[bytes, bytes | None]) -> Mapping[bytes, bytes | None]:
    """The changes in an order in which any first part of them loses no timer: started ones first, removed ones last.

    A crash may cut a write short. The batch is then repeated on what was written: a value that is there already sets
    no timer again, while a timer without its value fires for nothing.
    """
    timers = {key: value for key, value in changes.items() if key.startswith(_PREFIX)}
    if not timers:
        return changes
    started = {key: value for key, value in timers.items() if value is not None}
    values = {key: value for key, value in changes.items() if key not in timers}
    return {**started, **values, **timers}


def due(state: SortedKeys, queue: str, now: datetime, limit: int) -> list[Timer]:
    """The queue's due timers, at most ``limit``, the oldest first."""
    prefix = _queue_prefix(queue)
    keys = state.keys(prefix, prefix + _sortable(milliseconds(now) + 1), limit)
    return [_timer(queue, key[len(prefix) :]) for key in keys]


def reached(time: TimeReached) -> tuple[Timer, ...]:
    """The timers of a record, whether it is of one or of many."""
    due = parse_milliseconds(time.due)
    if not time.names:
        return (Timer(time.lane, due, time.name),)
    return tuple(
        Timer(time.lane, due + later, name) for name, later in zip(time.names, time.later_milliseconds, strict=False)
    )


def _timer(queue: str, rest: bytes) -> Timer:
    return Timer(queue, int.from_bytes(rest[:_TIME_BYTES], "big"), rest[_TIME_BYTES:].decode())


def _queue_prefix(queue: str) -> bytes:
    return _PREFIX + queue.encode() + b"\0"


def _sortable(unix_milliseconds: int) -> bytes:
    return max(0, unix_milliseconds).to_bytes(_TIME_BYTES, "big")


def milliseconds(moment: datetime) -> int:
    """The moment in Unix time, rounded down to milliseconds, as in texts."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_milliseconds(text: str) -> int:
    """The RFC 3339 time in Unix milliseconds; 0 for a time before 1970, which no key can hold, and for other texts."""
    moment = parse_time(text)
    return max(0, milliseconds(moment)) if moment is not None else 0


def moment_of(unix_milliseconds: int) -> datetime:
    """The moment of a Unix time."""
    return _EPOCH + timedelta(milliseconds=unix_milliseconds)
