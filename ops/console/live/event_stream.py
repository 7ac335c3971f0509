"""An answer that goes on: server-sent events for one viewer, until the viewer leaves or the console stops.

Of the known library only the heartbeat would be of use: it replaces a method of uvicorn's server for the whole process,
and asks twice a second whether to stop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from paynotify.ops.console.live.fan_out import EventFanOut, NewEvents, Watcher

#: Proxies close a connection on which nothing comes, and a viewer who went away is noticed by it.
HEARTBEAT_SECONDS: Final = 15.0
#: A browser that reads nothing for so long has gone.
SEND_SECONDS: Final = 20.0
#: Then the browser connects anew, and its rights are asked again.
STREAM_SECONDS: Final = 15 * 60.0

_HEARTBEAT: Final = b":\n\n"
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class EventStreamResponse(StreamingResponse):
    """What ``watcher`` gets, as ``told`` says it. ``rest_seconds`` is how long events gather after each message."""

    media_type = "text/event-stream"

    def __init__(
        self,
        fan_out: EventFanOut,
        watcher: Watcher,
        told: Callable[[NewEvents], bytes],
        rest_seconds: float = 0.0,
    ) -> None:
        self._fan_out = fan_out
        self._watcher = watcher
        super().__init__(_messages(watcher, told, rest_seconds), headers={"x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            await asyncio.wait_for(send(message), SEND_SECONDS)

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._fan_out.leave(self._watcher)


async def _messages(watcher: Watcher, told: Callable[[NewEvents], bytes], rest_seconds: float) -> AsyncIterator[bytes]:
    until = asyncio.get_running_loop().time() + STREAM_SECONDS
    yield _HEARTBEAT  # the browser knows that it is connected
    while not watcher.has_ended() and asyncio.get_running_loop().time() < until:
        new = await watcher.take(HEARTBEAT_SECONDS)
        if watcher.has_ended():
            return
        if new.events or new.left_out or new.has_gap:
            yield told(new)
            await watcher.rest(rest_seconds)
        else:
            yield _HEARTBEAT + encoded(mark=new.mark)


def encoded(data: str | None = None, *, event: str = "", mark: str = "") -> bytes:
    """One message as it is sent. A browser that comes back tells the newest mark."""
    fields: list[tuple[str, Any]] = [("event", event), ("id", mark)]
    fields += [("data", line) for line in _LINE_END.split(data)] if data is not None else []
    return "".join(f"{name}: {text}\n" for name, text in fields if text or name == "data").encode() + b"\n"
