"""A browser's connection, which has a bounded time for sending each request, and for taking its answer.

The server itself waits for ever: as many idle connections as it may have, and nobody else is answered, probes neither.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from paynotify.service.private_names import PrivateName

#: From the connection, or the last answer, until a request has come with its body.
REQUEST_SECONDS: Final = 15.0
#: How long a browser may take nothing of an answer that waits for it.
ANSWER_SECONDS: Final = 30.0

#: What `BrowserConnection` reads and replaces of uvicorn.
PRIVATE_NAMES: Final = (
    PrivateName("uvicorn", "uvicorn.protocols.http.h11_impl", "H11Protocol", is_class=True),
    PrivateName("uvicorn", "uvicorn.protocols.http.h11_impl", "H11Protocol.handle_events", ("cycle", "more_body")),
    PrivateName("uvicorn", "uvicorn.protocols.http.h11_impl", "RequestResponseCycle.send", ("response_complete",)),
)


class BrowserConnection(H11Protocol):
    """uvicorn's, which is cut off once it is too slow."""

    request_seconds = REQUEST_SECONDS
    answer_seconds = ANSWER_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._asking: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._asking)
        _cancel(self._taking)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        _cancel(self._taking)
        self._taking = self.loop.call_later(self.answer_seconds, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._taking)

    def _expect_request(self) -> None:
        _cancel(self._asking)
        self._asking = self.loop.call_later(self.request_seconds, self._cut_off_without_request)

    def _cut_off_without_request(self) -> None:
        """Unless a request has come entirely, whose answer may take its time."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self._cut_off()

    def _cut_off(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
