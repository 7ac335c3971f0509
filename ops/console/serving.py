"""The console's process: the follower, which fills the index, and the server of the pages."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import uvicorn
import uvloop
from starlette.types import ASGIApp

from paynotify.ingest.server_tls import ServerTLS
from paynotify.ops.console.access.method import access_method
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.api.assembly import build_api
from paynotify.ops.console.api.event_waiters import EventWaiters
from paynotify.ops.console.application import build_application
from paynotify.ops.console.browser_connection import PRIVATE_NAMES, BrowserConnection
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import TopicFollower
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.index.tables import TABLES
from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.ops.console.live.priming import prime
from paynotify.ops.console.page_groups import page_routes
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.model import Configuration
from paynotify.service import asgi_server
from paynotify.service.asgi_server import AsgiServer
from paynotify.service.logs import event
from paynotify.service.private_names import require

logger = logging.getLogger("paynotify.console")

_MAX_HEAD_BYTES: Final = 32 * 1024
_MAX_CONNECTIONS: Final = 200
_STOP_SECONDS: Final = 5


def serve(configuration: Configuration, listening: socket.socket, path: Path, *, is_loopback: bool) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the index can't be made there, or what users are known by can't be used.
    """
    names = {one.topic: configuration.kafka.topic(one.topic) for one in TABLES}
    index = PaymentIndex(path, names, f"{configuration.kafka.bootstrap_servers}/{configuration.kafka.topic_prefix}")
    waiters, fan_out = EventWaiters(), EventFanOut()
    follower = TopicFollower(configuration, index, (waiters.told, fan_out.take))
    renderer = PageRenderer(lambda: follower.age, configuration.console.grafana_url)
    queries = IndexQueries(path)
    sampler = FlowSampler(configuration)
    actions = ActionPages(configuration, renderer)
    routes = page_routes(configuration, queries, renderer, fan_out, sampler, actions)
    api = build_api(configuration, queries, waiters, sampler, lambda: follower.age)
    access = access_method(configuration.console, renderer, is_loopback=is_loopback)
    server = AsgiServer(
        _config(
            build_application(renderer, (*routes, *access.routes), access.identify, access.site, api),
            configuration.console,
        )
    )
    listening.listen(_MAX_CONNECTIONS)  # uvicorn would later
    follower.start()
    sampler.start()
    threading.Thread(target=prime, args=(configuration, fan_out), name="tail", daemon=True).start()
    event(logger, "listening", port=listening.getsockname()[1])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(server, listening, (waiters.close, fan_out.close)))
    finally:
        actions.close()
        sampler.stop()
        follower.stop()
        queries.close()
        index.close()
    return 0


def _config(application: ASGIApp, settings: ConsoleSettings) -> uvicorn.Config:
    """uvicorn's, which believes no header on who calls: the access of kind ``proxy`` looks at the connection's peer.

    h11 bounds a request's head, which anybody may send; httptools, uvicorn's own choice, takes one of any length.

    Raises:
        UnsupportedLibraryError: uvicorn is not one whose connections can be bounded.
    """
    require((*asgi_server.PRIVATE_NAMES, *PRIVATE_NAMES))
    config = uvicorn.Config(
        application,
        http=BrowserConnection,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    config.load()
    if settings.tls_certfile is not None:
        config.ssl = ServerTLS(settings.tls_certfile, settings.tls_keyfile, "console")
    return config


async def _serve(server: uvicorn.Server, listening: socket.socket, endings: Iterable[Callable[[], None]]) -> None:
    """``endings`` end what would go on until the server cuts it off: streams, and calls that wait."""

    def stop(number: int) -> None:
        server.handle_exit(number, None)
        for end in endings:
            end()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    await server.serve(sockets=[listening])
