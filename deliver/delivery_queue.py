"""The deliveries of one subscription that are not done: which goes out next, and which offsets may be committed.

Deliveries of one payment go out one after the other, in the order of their topic. A delivery that failed waits until it
is due, and those behind it wait with it. Nothing else waits for them. This module reads no clock and calls nobody.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from paynotify.deliver.result_event import ResultEvent

#: Topic and partition.
Place: TypeAlias = tuple[str, int]
OrderKey: TypeAlias = tuple[str, bytes]


@dataclass(slots=True)
class QueuedDelivery:
    """One event on its way to the subscriber. Times are in Unix seconds.

    ``recorded``: the state topic has it, or is about to. ``saved``: the brokers have acknowledged that, so that its
    offset may be committed. ``attempts`` are the calls that failed.
    """

    event: ResultEvent
    attempts: int = 0
    first_failed_at: str = ""
    due_seconds: float = 0.0
    recorded: bool = False
    saved: bool = False

    @property
    def place(self) -> Place:
        return self.event.record.topic, self.event.record.partition

    @property
    def offset(self) -> int:
        return self.event.record.offset


class DeliveryQueue:
    """The deliveries by payment, with the offsets up to which each partition is done."""

    def __init__(self) -> None:
        self._by_key: dict[OrderKey, deque[QueuedDelivery]] = {}
        self._by_id: dict[str, QueuedDelivery] = {}
        self._ready: deque[OrderKey] = deque()
        self._later: list[tuple[float, int, OrderKey]] = []
        self._out: set[OrderKey] = set()
        self._unfinished: dict[Place, dict[int, None]] = {}
        self._next_offsets: dict[Place, int] = {}
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def waiting(self) -> int:
        """How many deliveries the state topic holds."""
        return sum(one.recorded for one in self._by_id.values())

    @property
    def oldest(self) -> QueuedDelivery | None:
        """The delivery whose event is the oldest by its own time."""
        return min(self._by_id.values(), key=lambda one: one.event.happened_at, default=None)

    def read_past(self, place: Place, offset: int) -> None:
        """Note that the partition was read up to and including the offset."""
        self._next_offsets[place] = offset + 1

    def add(self, delivery: QueuedDelivery) -> bool:
        """Queue a delivery; whether it is new. A repeat of one that is queued already is dropped."""
        if delivery.event.event_id in self._by_id:
            return False
        self._by_id[delivery.event.event_id] = delivery
        if not delivery.saved:
            self._unfinished.setdefault(delivery.place, {})[delivery.offset] = None
        key = delivery.event.order_key
        queue = self._by_key.get(key)
        if queue is None:
            self._by_key[key] = deque((delivery,))
            self._schedule(key)
        else:
            self._insert(queue, delivery, key)
        return True

    def _insert(self, queue: deque[QueuedDelivery], delivery: QueuedDelivery, key: OrderKey) -> None:
        """At the end, or before later events of its partition: after a crash they may have been restored first."""
        at = len(queue)
        while at > (1 if key in self._out else 0):
            before = queue[at - 1]
            if before.place != delivery.place or before.offset < delivery.offset:
                break
            at -= 1
        queue.insert(at, delivery)
        if at == 0:  # the new head has not failed
            self._ready.append(key)

    def to_be_saved(self, key: OrderKey) -> list[QueuedDelivery]:
        """The payment's deliveries that wait behind a saved one and are not on the state topic, in their order.

        They would hold back their offsets for as long as the one before them waits.
        """
        queue = self._by_key.get(key, ())
        return [one for one in queue if not one.recorded] if queue and queue[0].saved else []

    def take(self, now: float, *, any_time: bool = False) -> QueuedDelivery | None:
        """The next delivery that is due, which is out from now on; None if there is none.

        With ``any_time`` also one that is not due yet, after those that are.
        """
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        while self._ready or (any_time and self._later):
            key = self._ready.popleft() if self._ready else heapq.heappop(self._later)[2]
            queue = self._by_key.get(key)
            if queue is None or key in self._out:
                continue  # scheduled twice, and done or taken by now
            if queue[0].due_seconds > now and not any_time:
                self._schedule(key)
                continue
            self._out.add(key)
            return queue[0]
        return None

    def due_at(self) -> float | None:
        """When the next delivery is due; None if none waits. 0 if one is due already."""
        if self._ready:
            return 0.0
        return self._later[0][0] if self._later else None

    def put_back(self, delivery: QueuedDelivery, due_seconds: float) -> None:
        """The delivery, which was out, failed or was not made; it is due again then."""
        delivery.due_seconds = due_seconds
        self._out.discard(delivery.event.order_key)
        self._schedule(delivery.event.order_key)

    def saved(self, delivery: QueuedDelivery) -> None:
        """The state topic has the delivery: its offset may be committed."""
        delivery.recorded = delivery.saved = True
        self._release(delivery)

    def finish(self, delivery: QueuedDelivery) -> None:
        """The delivery, which was out, is done: the next one of its payment may go out."""
        key = delivery.event.order_key
        self._out.discard(key)
        del self._by_id[delivery.event.event_id]
        self._release(delivery)
        queue = self._by_key[key]
        queue.remove(delivery)
        if queue:
            self._schedule(key)
        else:
            del self._by_key[key]

    def positions(self) -> Mapping[Place, int]:
        """The next offset to read of each partition, if all that is not done or saved is to be read again."""
        return {
            place: next(iter(self._unfinished.get(place, ())), offset) for place, offset in self._next_offsets.items()
        }

    @property
    def unsaved(self) -> int:
        """How many deliveries hold offsets back."""
        return sum(len(offsets) for offsets in self._unfinished.values())

    def _release(self, delivery: QueuedDelivery) -> None:
        self._unfinished.get(delivery.place, {}).pop(delivery.offset, None)

    def _schedule(self, key: OrderKey) -> None:
        due_seconds = self._by_key[key][0].due_seconds
        if due_seconds <= 0:
            self._ready.append(key)
            return
        self._pushed += 1
        heapq.heappush(self._later, (due_seconds, self._pushed, key))
