"""The part of a Faust stream that batches are taken from, as types: Faust's own say nothing about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from paynotify.schemas.records import Record


@dataclass(frozen=True, slots=True)
class FetchedRecords:
    """What one or several fetches brought for one partition: at least one record, in offset order.

    ``generation`` is the group's at the time of the fetch. ``acknowledge(next_offset)`` lets Faust commit the records
    before that offset; a partition's records are acknowledged in order and without a hole.
    """

    records: list[Record]
    generation: int
    acknowledge: Callable[[int], None]


class RecordQueue(Protocol):
    """The queue of one partition. ``get`` and ``get_nowait`` raise StopAsyncIteration when the stream ends."""

    async def get(self) -> FetchedRecords: ...

    def get_nowait(self) -> FetchedRecords: ...

    def empty(self) -> bool: ...


class RecordChannel(Protocol):
    """The channel behind a stream.

    Whoever reads its queue instead of iterating over the stream calls ``on_stop_iteration`` at the end: a channel left
    behind breaks the next rebalance (https://github.com/faust-streaming/faust/issues/529).
    """

    queue: RecordQueue

    def on_stop_iteration(self) -> object: ...


class RecordStream(Protocol):
    """A stream of one partition."""

    channel: RecordChannel
