"""The part of a Faust stream that batches are taken from, as types: Faust's own say nothing about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class StreamMessage(Protocol):
    """One record as Faust's consumer delivers it. ``generation_id`` is the group's generation that fetched it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] | None
    timestamp: float
    generation_id: int


class StreamEvent(Protocol):
    """A record with its acknowledgement: Faust commits the offset up to which all events are acknowledged."""

    message: StreamMessage

    def ack(self) -> object: ...


class EventQueue(Protocol):
    """The queue of one partition. ``get`` raises StopAsyncIteration when the stream ends."""

    async def get(self) -> StreamEvent: ...

    def get_nowait(self) -> StreamEvent: ...

    def empty(self) -> bool: ...


class EventChannel(Protocol):
    """The channel behind a stream.

    Whoever reads its queue instead of iterating over the stream calls ``on_stop_iteration`` at the end: a channel left
    behind breaks the next rebalance (https://github.com/faust-streaming/faust/issues/529).
    """

    queue: EventQueue

    def on_stop_iteration(self) -> object: ...


class EventStream(Protocol):
    """A stream of one partition."""

    channel: EventChannel
