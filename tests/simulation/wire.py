"""The way to the providers: what stands in for the HTTP client, with everything that can go wrong on it.

A request reaches the provider although the process that made it may be gone by then, and what the provider does for
it is done; only the answer is then lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Literal, Protocol, cast, get_args

import aiohttp
import httpx

from tests.simulation.history import History
from tests.simulation.lot import Lot
from tests.simulation.timeline import Timeline

_FASTEST_SECONDS: Final = 0.004
_SPREAD_SECONDS: Final = 0.03
_ABOUT_BYTES: Final = 40

#: ``refused_connection`` means that nothing was sent, ``drop`` breaks before the provider did anything, ``lose`` after,
#: and ``late`` before: the request is on its way for a while yet. ``silent`` never answers, ``slow`` late. The others
#: answer what nobody can use: ``error`` and ``busy`` without having done anything, the last three after the work.
WireFault = Literal[
    "refused_connection", "drop", "lose", "late", "silent", "slow", "error", "busy", "html", "truncated", "strange"
]
WIRE_FAULTS: Final[tuple[WireFault, ...]] = get_args(WireFault)

#: A request takes no longer than this to arrive: less than a charge's call may take.
_LATEST_SECONDS: Final = 7.5
_SLOWEST_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A provider's answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    retry_after: str = ""


class Gateway(Protocol):
    """One provider's side."""

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answered:
        """Do what is asked."""


@dataclass(slots=True)
class Trouble:
    """What happens to this share of a provider's calls."""

    kind: WireFault
    share: float


class Wire(httpx.AsyncBaseTransport):
    """The way of all providers' calls, in place of the transport over a network."""

    def __init__(self, loop: Timeline, lot: Lot, history: History, gateways: Mapping[str, Gateway]) -> None:
        self.loop = loop
        self.troubles: dict[str, Trouble] = {}
        self.lot = lot
        self.history = history
        self.gateways = gateways

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange; the provider is told by the host's first part."""
        answered = await _Call(self, request.url.host.partition(".")[0], request).answered()
        headers = {"content-type": answered.content_type, "retry-after": answered.retry_after}
        return httpx.Response(answered.status, headers=headers, stream=_Body(answered.body))

    def delay(self, provider: str, about: bytes) -> float:
        """How long a message takes to the provider, or from it."""
        return _FASTEST_SECONDS + self.lot(provider, about) * _SPREAD_SECONDS


class _Call:
    __slots__ = ("_about", "_content", "_done", "_headers", "_kind", "_method", "_provider", "_url", "_wire")

    def __init__(self, wire: Wire, provider: str, request: httpx.Request) -> None:
        self._wire, self._provider, self._method, self._url = wire, provider, request.method, str(request.url)
        self._headers, self._content = request.headers, request.content or None
        # the end of a query is what it asks for; its beginning is made up for each
        self._about = (self._content or self._url.encode())[-_ABOUT_BYTES:]

    async def answered(self) -> Answered:
        """What the provider answers.

        Raises:
            httpx.TransportError: there is no answer.
        """
        wire = self._wire
        trouble = wire.troubles.get(self._provider)
        hit = trouble is not None and wire.lot("trouble", self._about) < trouble.share
        self._kind = trouble.kind if hit and trouble is not None else ""
        self._done: asyncio.Future[Answered | None] = wire.loop.create_future()
        seconds = wire.delay(self._provider, self._about)
        if self._kind == "late":
            self._answer(None)
            seconds += _LATEST_SECONDS * wire.lot("late", self._about)
        wire.loop.call_without_process(seconds, self._arrive)
        answered = await self._done
        if answered is None and self._kind == "refused_connection":
            raise httpx.ConnectError("refused") from _REFUSED
        if answered is None:
            raise httpx.ReadError("broken")
        return answered

    def _arrive(self) -> None:
        wire, kind = self._wire, self._kind
        if kind:
            wire.history.happened("wire", f"{self._provider} {kind}")
        if kind in _UNDONE:
            return self._answer(_UNDONE[kind])
        answered: Answered | None = wire.gateways[self._provider].answer(
            self._method, self._url, self._headers, self._content
        )
        if kind in ("silent", "late"):
            return None
        if kind in _DONE:
            assert answered is not None
            answered = _DONE[kind](answered)
        return self._answer(answered, _SLOWEST_SECONDS * wire.lot("slow", self._about) if kind == "slow" else 0.0)

    def _answer(self, answered: Answered | None, more_seconds: float = 0.0) -> None:
        self._wire.loop.call_without_process(
            self._wire.delay(self._provider, self._about) + more_seconds, self._deliver, answered
        )

    def _deliver(self, answered: Answered | None) -> None:
        if not self._done.done():
            self._done.set_result(answered)


_HTML: Final = b"<html><body>Bad gateway</body></html>"
_UNDONE: Final[Mapping[str, Answered | None]] = {
    "error": Answered(503, _HTML, "text/html"),
    "busy": Answered(429, b"", "text/plain", "2"),
    "refused_connection": None,
    "drop": None,
}
_DONE: Final[Mapping[str, Any]] = {
    "lose": lambda answered: None,
    "html": lambda answered: Answered(200, _HTML, "text/html"),
    "truncated": lambda answered: Answered(200, answered.body[: len(answered.body) // 2], answered.content_type),
    "strange": lambda answered: Answered(200, b'{"fault":["of","another","shape"]}'),
}
_REFUSED: Final = aiohttp.ClientConnectorError(
    cast(Any, SimpleNamespace(host="provider.example", port=443, is_ssl=True, ssl=True)), OSError("refused")
)


class _Body(httpx.AsyncByteStream):
    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
