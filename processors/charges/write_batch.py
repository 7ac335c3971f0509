"""What a batch of charges makes durable on its way, many charges at a time.

A call that moves money must not be made before its intention is durable, nor the next before its answer is. Each charge
waits for that at its own moments; those that wait at the same time share one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from processors.runtime.failpoints import Failpoint
from processors.runtime.loop import Publish
from processors.state.partition_state import Branch, Overlay
from schemas.errors import PartitionRevokedError
from schemas.records import Output


class WriteBatch(Branch):
    """The state as the batch sees it, with its own order of durability:

    7. what providers answered, and what resolve must know, is acknowledged by the brokers
    8. the requests are: the state's changelog, fenced against another holder of the partition
    9. what the shops are told is, by the state's own writer: what a machine that froze in between says late must not
       come after what the next holder has said

    The requests come before what is told of them, so that a repeat after a crash tells the same again (G5): it finds
    each request with its newest event. Of what is kept here nothing waits for the end of the batch.

    A crash may cut a write off in the middle. So within it comes first what a request relies on (`put`), then the
    requests themselves (`decide`), then what they no longer need (`remove`, `put_last`): what was cut off is done again
    when the batch is, and whatever is left over of it holds too much rather than too little.
    """

    def __init__(self, below: Overlay, publish: Publish, reached: Callable[[Failpoint], None]) -> None:
        super().__init__(below)
        self._publish = publish
        self._reached = reached
        self._turn = asyncio.Lock()
        self._first: dict[bytes, bytes | None] = {}
        self._requests: dict[bytes, bytes | None] = {}
        self._last: dict[bytes, bytes | None] = {}
        self._answers: list[Output] = []
        self._events: list[Output] = []
        self._count = self._written = 0
        self._lost: BaseException | None = None

    def put(self, key: bytes, value: bytes) -> None:
        """Set what a request relies on."""
        super().put(key, value)
        self._change(self._first, key, value)

    def decide(self, key: bytes, value: bytes) -> None:
        """Set a request."""
        super().put(key, value)
        self._change(self._requests, key, value)

    def put_last(self, key: bytes, value: bytes) -> None:
        """Set what follows from a request's end."""
        super().put(key, value)
        self._change(self._last, key, value)

    def remove(self, key: bytes) -> None:
        """Forget what a request no longer needs."""
        super().remove(key)
        self._change(self._last, key, None)

    def _change(self, part: dict[bytes, bytes | None], key: bytes, value: bytes | None) -> None:
        for other in (self._first, self._requests, self._last):
            other.pop(key, None)
        part[key] = value
        self._count += 1

    def store(self, output: Output) -> None:
        """To be published before the state is kept."""
        self._answers.append(output)
        self._count += 1

    def say(self, output: Output) -> None:
        """To be published after the state is kept."""
        self._events.append(output)
        self._count += 1

    async def write(self) -> None:
        """Returns when all that was put, stored and said before is durable.

        Raises:
            PartitionRevokedError: another holds the partition; no call may be made any more.
        """
        wanted = self._count
        await asyncio.sleep(0)  # whoever is about to write too goes along
        async with self._turn:
            if self._lost is not None:
                raise PartitionRevokedError("a write failed before, the batch is given up") from self._lost
            if self._written < wanted:
                try:
                    await self._write()
                except BaseException as error:
                    self._lost = error
                    raise

    async def _write(self) -> None:
        count, answers, events = self._count, self._answers, self._events
        changes = {**self._first, **self._requests, **self._last}
        self._answers, self._events, self._first, self._requests, self._last = [], [], {}, {}, {}
        if answers:
            await self._publish(answers)
            self._reached(Failpoint.ANSWERS_STORED)
        for key, value in changes.items():
            if value is None:
                self._below.remove(key)
            else:
                self._below.put(key, value)
        await self._below.keep()
        self._reached(Failpoint.REQUESTS_KEPT)
        if events:
            await self._below.tell(events)
            self._reached(Failpoint.REQUESTS_TOLD)
        self._written = count
