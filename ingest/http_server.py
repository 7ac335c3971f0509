"""The HTTP server of the ingress: uvicorn with this package's connections, and the socket it listens on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from paynotify.ingest.acceptor import Acceptor
from paynotify.ingest.app import Ingress
from paynotify.ingest.connection import BoundedConnection, bounded
from paynotify.ingest.forwarding import forwarding
from paynotify.ingest.lingering_connection import LingeringConnection
from paynotify.ingest.networks import Networks
from paynotify.ingest.server_tls import ServerTLS, server_tls
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.model import Configuration
from paynotify.service.asgi import Receive, Scope, Send
from paynotify.service.asgi_server import AsgiServer

BACKLOG: Final = 2048
_MINIMUM_CONNECTIONS: Final = 1024


class Server(AsgiServer):
    """Where connections begin with more than HTTP, ``accept`` makes what accepts them instead of uvicorn."""

    def __init__(self, config: uvicorn.Config, accept: Callable[[socket.socket, Any], Acceptor] | None) -> None:
        super().__init__(config)
        self._accept = accept

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accept is None:
            await super().startup(sockets)
            return
        await super().startup([])
        for listener in sockets or []:
            listener.listen(BACKLOG)
            # uvicorn closes them as its own
            self.servers.append(self._accept(listener, self.server_state))  # type: ignore[arg-type]


def sweep(server: Server, now_seconds: float) -> None:
    """Close the connections that take too long to send a request, and those that have sent none for long."""
    for connection in list(server.server_state.connections):
        if isinstance(connection, BoundedConnection | LingeringConnection):
            connection.end_if_slow(now_seconds)


async def _no_application(scope: Scope, receive: Receive, send: Send) -> None:
    """uvicorn asks for an application, but `BoundedConnection` handles the calls itself."""


def build_server(configuration: Configuration, ingress: Ingress) -> Server:
    """uvicorn with every limit set. It discloses nothing about itself, and does not log requests.

    Raises:
        ConfigurationError: the certificate can't be used.
    """
    limits = configuration.ingest
    kind = bounded(
        ingress,
        max_head_bytes=limits.max_header_bytes,
        max_body_bytes=limits.max_body_bytes,
        read_seconds=limits.body_deadline_seconds,
        keep_alive_seconds=limits.keep_alive_seconds,
        max_connections=_max_connections(limits),
        forwarding=forwarding(limits),
    )
    config = uvicorn.Config(
        _no_application,
        interface="asgi3",
        http=kind,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(limits.drain_seconds)),
    )
    tls = server_tls(limits)
    return Server(config, partial(_acceptor, limits, kind, tls) if limits.proxy_protocol or tls else None)


def _acceptor(
    limits: IngestSettings,
    kind: type[BoundedConnection],
    tls: ServerTLS | None,
    listener: socket.socket,
    state: ServerState,
) -> Acceptor:
    return Acceptor(
        listener,
        lambda address: kind(state, address),
        proxies=Networks(limits.trusted_proxies) if limits.proxy_protocol else None,
        tls=tls,
        wait_seconds=limits.body_deadline_seconds,
        limit=_max_connections(limits),
    )


def _max_connections(limits: IngestSettings) -> int:
    return max(_MINIMUM_CONNECTIONS, 2 * limits.max_in_flight)
