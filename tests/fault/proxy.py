"""A TCP proxy that can reset, slow down, silence and refuse connections, for any number of targets.

It knows nothing of what it carries. Each target has a listener of its own; faults are told by target.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Collection, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

_READ_BYTES: Final = 64 * 1024
_CALL_SECONDS: Final = 10.0
_RESET: Final = struct.pack("ii", 1, 0)

T = TypeVar("T")


class _Link:
    """One connection through the proxy. A silent one swallows whatever comes, its ends don't learn of each other."""

    def __init__(self, target: str, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.target = target
        self.silent = False
        self._writers = writers

    def reset(self) -> None:
        """Both ends are told at once that the connection is broken."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Runs in a thread of its own, as a context manager. Its methods are for the other threads."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._lock = threading.Lock()
        self._addresses: dict[str, str] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._latency_seconds: dict[str, float] = {}
        self._refused: frozenset[str] = frozenset()

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- for whoever puts it in between --------------------------------------------------------------------

    def detour(self, target: str) -> str:
        """Where ``target`` (``host:port``) is to be found from now on; always the same place for the same target."""
        with self._lock:
            if target not in self._addresses:
                self._addresses[target] = self._do(self._listen(lambda: target))
            return self._addresses[target]

    def named(self, targets: Callable[[], Sequence[str]]) -> str:
        """An address that stays while what it leads to changes, as a name does: one of ``targets``, asked each time."""
        return self._do(self._listen(lambda: self._chance.choice(targets())))

    def forget(self, target: str) -> None:
        """Nobody listens any more where ``target`` was to be found, and its connections are broken."""
        with self._lock:
            address = self._addresses.pop(target)
        self._do(self._end(address))
        self.reset([target])

    # --- faults --------------------------------------------------------------------------------------------

    def reset(self, targets: Collection[str], share: float = 1.0) -> int:
        """Break so large a share of the open connections; how many these were."""
        return self._each(targets, share, _Link.reset)

    def half_open(self, targets: Collection[str], share: float = 1.0) -> int:
        """Silence so large a share of the open connections for good; new ones are well. How many these were."""

        def silence(link: _Link) -> None:
            link.silent = True

        return self._each(targets, share, silence)

    def slow(self, targets: Collection[str], seconds: float) -> None:
        """Whatever is sent arrives so much later, in each direction."""
        self._latency_seconds = dict.fromkeys(targets, seconds)

    def cut(self, targets: Collection[str]) -> None:
        """Break all connections and take no new ones."""
        self._refused = frozenset(targets)
        self.reset(targets)

    def heal(self) -> None:
        """No latency, no refusal; what was silenced or broken stays so."""
        self._latency_seconds, self._refused = {}, frozenset()

    def _each(self, targets: Collection[str], share: float, action: Callable[[_Link], None]) -> int:
        async def act() -> int:
            hit = [link for link in self._links if link.target in targets and self._chance.random() < share]
            for link in hit:
                action(link)
            return len(hit)

        return self._do(act())

    # --- in its own thread ---------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    async def _listen(self, leads_to: Callable[[], str]) -> str:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._carry(leads_to(), reader, writer)
            except (OSError, asyncio.CancelledError):
                writer.transport.abort()
            finally:
                self._tasks.discard(task)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self._servers[f"{host}:{port}"] = server
        return f"{host}:{port}"

    async def _end(self, address: str) -> None:
        self._servers.pop(address).close()

    async def _carry(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if target in self._refused:
            writer.transport.abort()
            return
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        link = _Link(target, (writer, far_writer))
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pump(link, reader, far_writer), self._pump(link, far_reader, writer), return_exceptions=True
            )
        finally:
            self._links.discard(link)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            seconds = self._latency_seconds.get(link.target)
            if seconds:
                await asyncio.sleep(seconds)
            if not link.silent:
                writer.write(data)
                await writer.drain()
        if not link.silent and writer.can_write_eof():
            writer.write_eof()

    async def _close(self) -> None:
        for server in self._servers.values():
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
