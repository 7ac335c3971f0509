"""The ingress's real HTTP server in the test's own event loop, with a log in memory instead of the brokers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from paynotify.ingest.app import Ingress
from paynotify.ingest.http_server import build_server, sweep
from paynotify.ingest.limits import Slots
from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.notification import RecordHeaders
from paynotify.ingest.record_group import Told
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.providers import provider_names
from paynotify.service.listener import open_listener

DEADLINE_SECONDS: Final = 10
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_SWEEP_SECONDS: Final = 0.05


class MemoryLog:
    """Stores everything in the loop's next round, or when it is released."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.headers: list[dict[str, bytes]] = []
        self.held: list[Told] | None = None

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        self.values.append(value)
        self.headers.append(dict(headers))
        if self.held is not None:
            self.held.append(told)
        else:
            asyncio.get_running_loop().call_soon(told, True)
        return True

    def release(self) -> None:
        held, self.held = self.held or [], None
        for told in held:
            told(True)


class Site:
    """The running server and raw connections to it."""

    def __init__(self, port: int, log: MemoryLog, slots: Slots, server: Any, ingress: Ingress) -> None:
        self.port = port
        self.log = log
        self.slots = slots
        self.server = server
        self.ingress = ingress

    @property
    def connections(self) -> set[Any]:
        found: set[Any] = self.server.server_state.connections
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                await asyncio.sleep(0.01)

    async def say(self, *parts: bytes) -> bytes:
        """The head of the server's response on a connection, after any invitation to send the body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(DEADLINE_SECONDS):
                while (head := await reader.readuntil(b"\r\n\r\n")) == CONTINUE:
                    pass
                return head
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def listening(configuration: str, *, sweeping: bool = False) -> AsyncIterator[Site]:
    """A running ingress. With ``sweeping`` it closes slow and idle connections by itself, as the process does."""
    parsed = parse(configuration, "test.yaml")
    log, slots = MemoryLog(), Slots(parsed.ingest.max_in_flight)
    meters = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
    ingress = Ingress(parsed, log, slots, meters)
    server = build_server(parsed, ingress)
    with open_listener("127.0.0.1:0") as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not server.started:
                await asyncio.sleep(0.01)
        sweeper = asyncio.create_task(_sweep(server)) if sweeping else None
        try:
            yield Site(listener.getsockname()[1], log, slots, server, ingress)
        finally:
            server.should_exit = True
            await serving
            if sweeper is not None:
                sweeper.cancel()


async def _sweep(server: Any) -> None:
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        sweep(server, asyncio.get_running_loop().time())
