"""Connections to the console that send nothing, or take nothing, end; those that wait for an answer do not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from paynotify.ops.console import serving
from paynotify.ops.console.browser_connection import BrowserConnection
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.service.asgi_server import AsgiServer

HEAD = b"GET %s HTTP/1.1\r\nhost: localhost\r\n"
LONG = 64 * 1024 * 1024
Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """``/`` answers once it is let, ``/long`` with more than any buffer holds, the others at once."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        if scope["path"] == "/":
            await self.let.wait()
        if scope["path"] == "/form":
            while (await receive()).get("more_body"):
                pass
        await Response(b"a" * (LONG if scope["path"] == "/long" else 1))(scope, receive, send)
        self.ended.set()


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
async def connect(served: Served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Awaitable[Opened]]]:
    monkeypatch.setattr(BrowserConnection, "request_seconds", 0.2)
    monkeypatch.setattr(BrowserConnection, "answer_seconds", 0.2)
    server = AsgiServer(serving._config(served, ConsoleSettings()))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        address = listening.getsockname()
        yield lambda: asyncio.open_connection(*address)
        server.should_exit = True
        await running


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What is answered until the connection ends."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD % b"/now",
        b"POST /form HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\na",
        b"POST /form HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a form", "no chunk"],
)
async def test_connection_without_a_whole_request_ends(connect: Callable[[], Awaitable[Opened]], sent: bytes) -> None:
    reader, writer = await connect()
    writer.write(sent)
    assert await rest(reader) == b""
    writer.close()


async def test_second_request_has_to_come_in_time_too(connect: Callable[[], Awaitable[Opened]]) -> None:
    reader, writer = await connect()
    writer.write(HEAD % b"/now" + b"\r\n" + HEAD % b"/now")
    assert (await rest(reader)).count(b"200 OK") == 1
    writer.close()


async def test_answer_may_take_longer_than_a_request(connect: Callable[[], Awaitable[Opened]], served: Served) -> None:
    reader, writer = await connect()
    writer.write(HEAD % b"/" + b"connection: close\r\n\r\n")
    await served.asked.wait()
    idle, other = await connect()
    assert await rest(idle) == b""  # which began later, and is cut off
    served.let.set()
    assert b"200 OK" in await rest(reader)
    for one in (writer, other):
        one.close()


async def test_answer_that_nobody_takes_ends(connect: Callable[[], Awaitable[Opened]], served: Served) -> None:
    _, writer = await connect()
    writer.write(HEAD % b"/long" + b"\r\n")
    await asyncio.wait_for(served.ended.wait(), 10)
    writer.close()
