"""A provider's side of an HTTP exchange: a real server on a free port that answers from a script."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from aiohttp import web

from paynotify.processors.providers.base import CallContext, ProviderResponse, WaitingLookup
from paynotify.processors.providers.outgoing import open_transport
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.worker import ProviderProxySettings
from tests.fakes.accounts import NOW


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Scripted = web.Response | Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Gateway:
    """Answers the requests in turn with ``script``, the last entry for ever."""

    script: list[Scripted]
    url: str = ""
    seen: list[Seen] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.raw_path, request.headers, body))
        entry = self.script[min(len(self.seen), len(self.script)) - 1]
        if isinstance(entry, web.Response):
            copy = web.Response(body=entry.body, status=entry.status)
            copy.headers.update({name: value for name, value in entry.headers.items() if name != "Content-Length"})
            return copy
        return await entry(request, body)


@asynccontextmanager
async def serving(*script: Scripted, tls: ssl.SSLContext | None = None) -> AsyncIterator[Gateway]:
    """A gateway that listens until the block ends, with ``tls`` for https."""
    gateway = Gateway(list(script))
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", gateway.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert runner.addresses
    gateway.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()


def json_answer(text: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer with the given text."""
    body = text.encode() if isinstance(text, str) else text
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})})


@dataclass(slots=True)
class World:
    """What a fetch touches besides the provider: the clock, the pace, and the answers it stored."""

    http: httpx.AsyncBaseTransport
    now: datetime = NOW
    stored: list[ProviderResponse] = field(default_factory=list)
    #: The lookups that each of the stored responses answers.
    answered: list[tuple[WaitingLookup, ...]] = field(default_factory=list)
    paced: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    patience_seconds: float = 0.0

    def call_context(
        self, *, max_response_bytes: int = 1 << 20, timeout_seconds: float = 5.0, transactions: int = 100
    ) -> CallContext:
        return CallContext(
            self.http, lambda: self.now, max_response_bytes, timeout_seconds, transactions, self._pace, self._recovery
        )

    async def store(self, response: ProviderResponse, lookups: tuple[WaitingLookup, ...]) -> None:
        await asyncio.sleep(0)
        self.stored.append(response)
        self.answered.append(lookups)

    @asynccontextmanager
    async def _pace(self, key: str) -> AsyncIterator[None]:
        self.paced.append(key)
        yield

    def _recovery(self, key: str) -> float:
        self.recovered.append(key)
        return self.patience_seconds


@asynccontextmanager
async def world(
    proxy: ProviderProxySettings | None = None, authorities: SecretRef | None = None
) -> AsyncIterator[World]:
    """A world with the workers' own HTTP transport."""
    async with open_transport(8, proxy, authorities) as http:
        yield World(http)
