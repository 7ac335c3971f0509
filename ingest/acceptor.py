"""Accepts connections that begin with more than HTTP: a header of the PROXY protocol, TLS, or one and then the other.

The header is read from the socket before the event loop has it, and not a byte more: what follows may be TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from paynotify.ingest.networks import Networks, address_in
from paynotify.ingest.proxy_header import HEAD_BYTES, ProxyHeaderError, rest_bytes, source
from paynotify.service.listener import caller_address
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.ingest")

#: After a failure to accept, such as one for want of file descriptors.
_PAUSE_SECONDS: Final = 1.0
#: A balancer that is set up wrongly would fill the log.
_LOG_SECONDS: Final = 10.0


class Acceptor:
    """Takes the place of uvicorn's server for one listener. ``create`` makes the protocol for a caller's address.

    Connections from ``proxies`` begin with a header; without ``proxies`` none does. With ``tls`` all of them go on with
    a handshake. Both together must not take longer than ``wait_seconds``, and at most ``limit`` connections are at it.
    """

    def __init__(
        self,
        listener: socket.socket,
        create: Callable[[str], asyncio.Protocol],
        *,
        proxies: Networks | None,
        tls: ssl.SSLContext | None,
        wait_seconds: float,
        limit: int,
    ) -> None:
        self._listener = listener
        self._create = create
        self._proxies = proxies
        self._tls = tls
        self._wait_seconds = wait_seconds
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._greeted: set[asyncio.Task[None]] = set()
        self._logged_at_seconds = -_LOG_SECONDS
        listener.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more. What has begun with no request yet ends too."""
        for task in (self._accepting, *self._greeted):
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(self._accepting, *self._greeted, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                connected, peer = await self._loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if len(self._greeted) >= self._limit:
                connected.close()
                continue
            task = self._loop.create_task(self._greet(connected, caller_address(peer)))
            self._greeted.add(task)
            task.add_done_callback(self._greeted.discard)

    async def _greet(self, connected: socket.socket, peer: str) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(connected.close)
            # a caller's failure concerns nobody else: it may connect again
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(self._wait_seconds):
                    address = await self._told(connected, peer)
                    if address is None:
                        return
                    undo.pop_all()  # the transport closes it
                    await self._loop.connect_accepted_socket(
                        lambda: self._create(address), connected, ssl=self._tls, **self._handshake()
                    )

    def _handshake(self) -> dict[str, Any]:
        return {} if self._tls is None else {"ssl_handshake_timeout": self._wait_seconds}

    async def _told(self, connected: socket.socket, peer: str) -> str | None:
        """The caller's address; None if the connection is refused."""
        if self._proxies is None or peer not in self._proxies:
            return peer
        try:
            head = await self._read(connected, HEAD_BYTES)
            found = source(head, await self._read(connected, rest_bytes(head)))
        except ProxyHeaderError as error:
            self._log(peer, str(error))
            return None
        return (address_in(found) if found is not None else None) or peer

    async def _read(self, connected: socket.socket, length: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            EOFError: the connection ends before.
        """
        read = b""
        while len(read) < length:
            part = await self._loop.sock_recv(connected, length - len(read))
            if not part:
                raise EOFError
            read += part
        return read

    def _log(self, peer: str, problem: str) -> None:
        now = self._loop.time()
        if now - self._logged_at_seconds >= _LOG_SECONDS:
            self._logged_at_seconds = now
            event(logger, "proxy_header_refused", level=logging.WARNING, proxy=peer, problem=problem)
