"""What a batch of charges makes durable on its way, many charges at a time.

A call that moves money must not be made before its intention is durable, nor the next before its answer is. Each charge
waits for that at its own moments; those that wait at the same time share one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from processors.failpoint import Step
from processors.loop import Publish
from processors.state import Branch, Overlay
from schemas.errors import PartitionLost
from schemas.records import Output


class Journal(Branch):
    """The state as the batch sees it, with its own order of durability:

    7. what providers answered, and what resolve must know, is acknowledged by the brokers
    8. the requests are: the state's changelog, fenced against another holder of the partition
    9. what the shops are told is

    The requests come before what is told of them, so that a repeat after a crash tells the same again (G5): it finds
    each request with its newest event. Of what is kept here nothing waits for the end of the batch.
    """

    def __init__(self, below: Overlay, publish: Publish, reached: Callable[[Step], None]) -> None:
        super().__init__(below)
        self._publish = publish
        self._reached = reached
        self._turn = asyncio.Lock()
        self._waiting: dict[bytes, bytes | None] = {}
        self._answers: list[Output] = []
        self._events: list[Output] = []
        self._count = self._written = 0
        self._lost: BaseException | None = None

    def put(self, key: bytes, value: bytes) -> None:
        super().put(key, value)
        self._change(key, value)

    def remove(self, key: bytes) -> None:
        super().remove(key)
        self._change(key, None)

    def _change(self, key: bytes, value: bytes | None) -> None:
        # the order counts: should a crash cut a write off, what comes first is what is kept
        self._waiting.pop(key, None)
        self._waiting[key] = value
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
            PartitionLost: another holds the partition; no call may be made any more.
        """
        wanted = self._count
        await asyncio.sleep(0)  # whoever is about to write too goes along
        async with self._turn:
            if self._lost is not None:
                raise PartitionLost("a write failed before, the batch is given up") from self._lost
            if self._written < wanted:
                try:
                    await self._write()
                except BaseException as error:
                    self._lost = error
                    raise

    async def _write(self) -> None:
        count, answers, changes, events = self._count, self._answers, self._waiting, self._events
        self._answers, self._waiting, self._events = [], {}, []
        if answers:
            await self._publish(answers)
            self._reached(Step.ANSWERS_STORED)
        for key, value in changes.items():
            if value is None:
                self._below.remove(key)
            else:
                self._below.put(key, value)
        await self._below.keep()
        self._reached(Step.REQUESTS_KEPT)
        if events:
            await self._publish(events)
            self._reached(Step.REQUESTS_TOLD)
        self._written = count
