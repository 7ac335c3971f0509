"""What every answer of the console has: a browser keeps nothing, runs own files alone and shows it in no frame.

Requests that other sites have caused get no other answer than that they are refused.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paynotify.ops.console.access.origins import OwnOrigins

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    # not no-referrer: with it browsers name no origin with the forms of these very pages
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
#: Asked by who checks that the process lives and answers, at whatever address it has.
PROBE_PATHS: Final = ("/healthz", "/readyz")


class SafeAnswers:
    """Wraps an application, whose own hosts and origins are ``origins``."""

    def __init__(self, application: ASGIApp, origins: OwnOrigins) -> None:
        self._application = application
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Any = MutableHeaders(scope=message)
                headers.update(_HEADERS)
            await send(message)

        answer = self._refused(scope) or self._application
        await answer(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if scope["path"] not in PROBE_PATHS and not self._origins.is_host(headers.get("host", "")):
            return PlainTextResponse("Misdirected request: use the console's own address.\n", 421)
        problem = self._origins.refusal(scope["method"], headers)
        return PlainTextResponse(f"Refused: {problem}. Use the console's own pages.\n", 403) if problem else None
