"""Hands what the follower has read to all who watch. The topics are read once, however many watch.

The follower never waits for a viewer: each has a queue of its own that drops its oldest events and counts them. The
newest events are kept for those who come later or come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from paynotify.ops.console.index.tables import TABLES
from paynotify.ops.console.live.events import FORGOTTEN, TAIL_KINDS, LiveEvent, LiveFilter, live_event
from paynotify.schemas.records import Record
from paynotify.service.stopping import wait

#: The events of each kind that are kept; of older ones a viewer who comes back is told that they are missing.
KEPT_EVENTS: Final = 1000
#: The events that wait for one viewer.
QUEUED_EVENTS: Final = 100
#: Each viewer holds a connection.
MAX_WATCHERS: Final = 50
#: Of one person who is known: with all of them, nobody else's pages would be told anything.
MAX_WATCHERS_OF_ONE: Final = 20
_TABLES: Final = {one.topic: one for one in TABLES}
_NUMBER: Final = re.compile(r"[0-9]{1,18}\Z")


class TooManyWatchersError(Exception):
    """As many watch as may."""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """What came for a viewer, oldest first, and how many events before them were dropped.

    ``mark`` is where to go on after all that came, wanted or not. ``has_gap``: the console was started since the
    viewer's mark, or more came since than is kept, so nobody knows what was missed.
    """

    events: tuple[LiveEvent, ...] = ()
    left_out: int = 0
    mark: str = ""
    has_gap: bool = False


class Watcher:
    """One viewer's queue. Its methods are for the event loop that made it."""

    def __init__(self, wanted: LiveFilter, lock: threading.Lock, person: str = "") -> None:
        self.person = person
        self._wanted = wanted
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._queue: deque[LiveEvent] = deque(maxlen=QUEUED_EVENTS)
        self._left_out = 0
        self._mark = ""
        self._has_gap = False

    def offer(self, events: Iterable[LiveEvent], mark: str) -> None:
        """Queue what is wanted of the events. Called with the lock held, from any thread."""
        self._mark = mark
        wanted = [one for one in events if self._wanted.matches(one)]
        if wanted:
            self._left_out += max(0, len(self._queue) + len(wanted) - QUEUED_EVENTS)
            self._queue.extend(wanted)
            self._wake(self._ready)

    def tell_gap(self) -> None:
        """Nobody knows what came since the viewer's mark."""
        self._has_gap = True
        self._wake(self._ready)

    def end(self) -> None:
        """Nothing more comes. May be called from any thread."""
        self._wake(self._ended)
        self._wake(self._ready)

    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def take(self, wait_seconds: float) -> NewEvents:
        """What has come; nothing after the wait, or when nothing more comes."""
        await wait(self._ready, wait_seconds)
        with self._lock:
            self._ready.clear()
            taken = NewEvents(tuple(self._queue), self._left_out, self._mark, self._has_gap)
            self._queue.clear()
            self._left_out, self._has_gap = 0, False
        return taken

    async def rest(self, seconds: float) -> None:
        """Let events gather, unless nothing more comes."""
        await wait(self._ended, seconds)

    def _wake(self, event: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(event.set)


class EventFanOut:
    """Any thread may call its methods; only `watch` needs an event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The newest of each kind, each with its number: a flood of one kind must not push the others out.
        self._kept: dict[str, deque[tuple[int, LiveEvent]]] = {}
        self._watchers: set[Watcher] = set()
        self._start = os.urandom(4).hex()
        self._last = 0
        #: The greatest number of an event that is kept no more.
        self._dropped = 0
        self._is_closed = False

    @property
    def mark(self) -> str:
        """Where a page that is made now goes on."""
        return f"{self._start}-{self._last}"

    @property
    def watching(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def take(self, topic: str, records: Sequence[Record]) -> None:
        """Hand on what records of a topic (its own name) say. Of many at once the newest, as when an index is made
        anew; viewers are told of the gap, and payments that the others forget are forgotten."""
        skipped = records[:-KEPT_EVENTS]
        if skipped:
            forgotten = [one for one in skipped if one.value is None]
            with self._lock:
                self._forget({_payment(one) for one in _all_events(topic, forgotten)})
                self._last += 1
                self._dropped = self._last
                for watcher in self._watchers:
                    watcher.tell_gap()
        self.publish(_events(topic, records))

    def prime(self, topic: str, records: Sequence[Record]) -> None:
        """Keep what records say that were read before this process began, as if it had come before all else."""
        events, _ = _without_forgotten(_events(topic, records))
        with self._lock:
            known = {_place(one) for kept in self._kept.values() for _, one in kept}
            for event in (one for one in reversed(events) if one.kind != FORGOTTEN):
                kept = self._kept.setdefault(event.kind, deque())
                if len(kept) < KEPT_EVENTS and _place(event) not in known:
                    kept.appendleft((0, event))

    def publish(self, events: Sequence[LiveEvent]) -> None:
        """Keep the events and queue them for all who want them."""
        if not events:
            return
        with self._lock:
            remaining, gone = _without_forgotten(events)
            self._forget(gone)
            for event in remaining:
                self._keep(event)
            for watcher in self._watchers:
                watcher.offer(remaining, self.mark)

    def newest(self, wanted: LiveFilter, count: int) -> list[LiveEvent]:
        """The newest of the kinds of which viewers see a list, newest first."""
        with self._lock:
            found = [
                event for kind in TAIL_KINDS.values() for _, event in self._kept.get(kind, ()) if wanted.matches(event)
            ]
        return sorted(found, key=lambda one: one.at, reverse=True)[:count]

    def watch(self, wanted: LiveFilter, after: str = "", person: str = "") -> Watcher:
        """Queue what comes from now on, and what has come since the mark, until `leave`. ``person`` is who watches, if
        that is known.

        Raises:
            TooManyWatchersError: as many watch as may, of this person or together.
        """
        with self._lock:
            own = sum(one.person == person for one in self._watchers) if person else 0
            if len(self._watchers) >= MAX_WATCHERS or own >= MAX_WATCHERS_OF_ONE:
                raise TooManyWatchersError
            watcher = Watcher(wanted, self._lock, person)
            start, _, number = after.partition("-")
            # of another process's numbers nothing is known
            known = int(number) if start == self._start and _NUMBER.match(number) else -1
            if after and known < self._dropped:
                watcher.tell_gap()
            watcher.offer(self._since(known) if known >= 0 else (), self.mark)
            self._watchers.add(watcher)
            if self._is_closed:
                watcher.end()
            return watcher

    def leave(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """Nothing more comes for anybody."""
        with self._lock:
            self._is_closed = True
            for watcher in self._watchers:
                watcher.end()

    def _keep(self, event: LiveEvent) -> None:
        self._last += 1
        kept = self._kept.setdefault(event.kind, deque())
        kept.append((self._last, event))
        if len(kept) > KEPT_EVENTS:
            self._dropped = max(self._dropped, kept.popleft()[0])

    def _forget(self, gone: Collection[tuple[str, str]]) -> None:
        if gone:
            for kind, kept in self._kept.items():
                self._kept[kind] = deque(one for one in kept if _payment(one[1]) not in gone)

    def _since(self, number: int) -> list[LiveEvent]:
        later = sorted((one for kept in self._kept.values() for one in kept if one[0] > number), key=lambda one: one[0])
        return [event for _, event in later]


def _events(topic: str, records: Sequence[Record]) -> list[LiveEvent]:
    return _all_events(topic, records[-KEPT_EVENTS:])


def _all_events(topic: str, records: Sequence[Record]) -> list[LiveEvent]:
    table = _TABLES[topic]
    return [one for record in records if (one := live_event(table, record)) is not None]


def _without_forgotten(events: Sequence[LiveEvent]) -> tuple[list[LiveEvent], set[tuple[str, str]]]:
    """The events without those of payments that are forgotten later on, and these payments."""
    remaining: list[LiveEvent] = []
    gone: set[tuple[str, str]] = set()
    for event in reversed(events):
        if event.kind == FORGOTTEN:
            gone.add(_payment(event))
            remaining.append(event)
        elif _payment(event) not in gone:
            remaining.append(event)
    return remaining[::-1], gone


def _place(event: LiveEvent) -> tuple[str, int, int]:
    return event.topic, event.partition, event.offset


def _payment(event: LiveEvent) -> tuple[str, str]:
    return event.merchant, event.payment_id
