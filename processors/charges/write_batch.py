"""Writes that a batch of charges makes durable before it ends, grouped across requests.

A call that moves money must not be made before the intention is durable, nor the next call before the response is. Each
request waits for this at its own time; requests that wait at the same time share one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.processors.runtime.stage import Publish
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.records import Output


class WriteBatch(Overlay):
    """The batch's view of the state, with an order of durability of its own:

    7. the brokers acknowledge responses and the observations that resolve needs
    8. the brokers acknowledge the requests: the state's changelog, fenced against another owner of the partition
    9. the brokers acknowledge the events for the shops, through the state's own writer: an event that a frozen process
       publishes late must not follow those of the next owner

    Requests come before their events, so that a repeat after a crash publishes the same events again: it finds each
    request with its newest event.

    A crash may cut a write short. So a write begins with what requests rely on (`put`), continues with the requests
    (`put_request`), and ends with what they no longer need (`remove`, `put_last`). The repeated batch does the missing
    part again, and until then a limit counts too much rather than too little.
    """

    def __init__(self, below: Overlay, publish: Publish, reached: Callable[[Failpoint], None]) -> None:
        super().__init__(below)
        self._state = below
        self._publish = publish
        self._reached = reached
        self._writing = asyncio.Lock()
        self._first: dict[bytes, bytes | None] = {}
        self._requests: dict[bytes, bytes | None] = {}
        self._last: dict[bytes, bytes | None] = {}
        self._before: list[Output] = []
        self._after: list[Output] = []
        self._count = self._written = 0
        self._failure: BaseException | None = None

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value that a request relies on."""
        super().put(key, value)
        self._change(self._first, key, value)

    def put_request(self, key: bytes, value: bytes) -> None:
        """Set a request."""
        super().put(key, value)
        self._change(self._requests, key, value)

    def put_last(self, key: bytes, value: bytes) -> None:
        """Set a value that follows from the end of a request."""
        super().put(key, value)
        self._change(self._last, key, value)

    def delete(self, key: bytes) -> None:
        """Remove a value that a request no longer needs."""
        super().delete(key)
        self._change(self._last, key, None)

    def _change(self, part: dict[bytes, bytes | None], key: bytes, value: bytes | None) -> None:
        for other in (self._first, self._requests, self._last):
            other.pop(key, None)
        part[key] = value
        self._count += 1

    def publish_before(self, output: Output) -> None:
        """Publish the output before the state is persisted."""
        self._before.append(output)
        self._count += 1

    def publish_after(self, output: Output) -> None:
        """Publish the output after the state is persisted."""
        self._after.append(output)
        self._count += 1

    async def write(self) -> None:
        """Return once everything put or published so far is durable.

        Raises:
            PartitionRevokedError: another process owns the partition, so no call may be made any more.
        """
        wanted = self._count
        await asyncio.sleep(0)  # requests that are about to write join this write
        async with self._writing:
            if self._failure is not None:
                raise PartitionRevokedError("an earlier write of this batch failed") from self._failure
            if self._written < wanted:
                try:
                    await self._write()
                except BaseException as error:
                    self._failure = error
                    raise

    async def _write(self) -> None:
        count, before, after = self._count, self._before, self._after
        changes = {**self._first, **self._requests, **self._last}
        self._before, self._after, self._first, self._requests, self._last = [], [], {}, {}, {}
        if before:
            await self._publish(before)
            self._reached(Failpoint.RESPONSES_PUBLISHED)
        for key, value in changes.items():
            if value is None:
                self._state.delete(key)
            else:
                self._state.put(key, value)
        await self._state.persist()
        self._reached(Failpoint.REQUESTS_PERSISTED)
        if after:
            await self._state.publish_as_owner(after)
            self._reached(Failpoint.EVENTS_PUBLISHED)
        self._written = count
