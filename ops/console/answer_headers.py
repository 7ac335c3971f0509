"""What every answer of the console has: a browser keeps nothing, runs own files alone and shows it in no frame.

The console is reached on the machine's own addresses. A page elsewhere could have its name lead there (DNS rebinding),
so a request must also name one of them as its host.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_OWN_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class SafeAnswers:
    """Wraps an application."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                headers.update(_HEADERS)
            await send(message)

        if host_of(Headers(scope=scope).get("host", "")) not in _OWN_HOSTS:
            await PlainTextResponse("Misdirected request: use the console's own address.\n", 421)(
                scope, receive, with_headers
            )
            return
        await self._application(scope, receive, with_headers)


def host_of(header: str) -> str:
    """The host of a ``Host`` header, without its port."""
    host, colon, port = header.rpartition(":")
    return (host if colon and port.isdigit() else header).lower()
