"""Stores the raw responses of a batch's calls, those that come at the same time in one write.

A write costs as much as storing several responses, and many calls are made side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from processors.runtime.stage import Publish
from schemas.records import Output


class ResponseWriter:
    """Stores what comes from one batch's calls; they end together, by success or cancellation."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: list[Output] = []
        self._written: asyncio.Future[None] | None = None

    async def store(self, outputs: Sequence[Output]) -> None:
        """Returns once the brokers have acknowledged a response, and what goes with it."""
        first = not self._waiting
        self._waiting += outputs
        if first:
            await self._write()
            return
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._written)

    async def _write(self) -> None:
        """Write for all that come until the event loop has seen to whatever is ready now."""
        await asyncio.sleep(0)
        (outputs, self._waiting), (written, self._written) = (self._waiting, []), (self._written, None)
        try:
            await self._publish(outputs)
        except BaseException as error:
            if written is not None:
                written.set_exception(error)
            raise
        if written is not None:
            written.set_result(None)
