"""Serves one simulator: its provider's own API with faults, and the control API.

The provider's own API is everything outside ``/control/``. The control API (JSON):

- ``POST /control/payments``           one payment or a list; responds with their ids
- ``POST /control/payments/{id}``      change one payment as the provider or the merchant's portal would
- ``POST /control/night``              let a night pass: what is due settles
- ``GET /control/book``                the ledger: true states, counters, breaches of the rules, money moved
- ``GET /control/counters``            the counters alone, and how many notifications wait
- ``GET /control/sent``                the last notifications as sent, byte for byte
- ``POST /control/notifications``      ``{"target": URL, "paused": bool}``
- ``POST /control/shops/{merchant}``   change a shop's account, such as its secrets
- ``POST | DELETE /control/faults``    switch a fault on for a time; switch all off
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import uvicorn

from paynotify.sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse, json_reply
from paynotify.sandbox.simulators.faults import Fault, Faults
from paynotify.schemas.errors import ProviderRefusedError, RateLimitedError
from paynotify.service.asgi import Receive, Scope, Send
from paynotify.service.listener import bound_socket
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.simulator")

_BODY_BYTES: Final = 8 * 1024 * 1024
_HTML: Final = b"<HTML><HEAD><TITLE>Error</TITLE></HEAD><BODY>Something went wrong</BODY></HTML>"
_SLOW_PIECES: Final = 10


class App:
    """The ASGI application around one simulator."""

    def __init__(self, simulator: Simulator[Any]) -> None:
        self._simulator = simulator
        self._faults = Faults(random.Random(simulator.settings.seed))
        for fault in simulator.settings.faults:
            self._faults.add(fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _read(scope, receive)
        if request is None:
            await _write(send, SimulatorResponse(413, b""))
        elif request.path.startswith("/control/"):
            await _write(send, self._control(request))
        else:
            await self._provider(request, receive, send)

    async def _provider(self, request: SimulatorRequest, receive: Receive, send: Send) -> None:
        counters = self._simulator.book.counters
        counters["calls"] += 1
        fault = self._faults.hits(self._simulator.arrived(request))
        kind, seconds = (fault.kind, fault.seconds) if fault else ("", 0.0)
        if kind:
            counters[f"faults.{kind}"] += 1
        if kind in ("drop", "timeout"):
            await _break(receive, send, after_seconds=seconds if kind == "timeout" else 0.0)
            return
        latency_seconds = self._simulator.settings.latency_seconds + (seconds if kind == "latency" else 0.0)
        if latency_seconds:
            await asyncio.sleep(latency_seconds)
        reply = self._reply(request, fault)
        counters[f"calls.{reply.status}"] += 1
        if kind in ("lose", "timeout_after"):
            await _break(receive, send, after_seconds=seconds if kind == "timeout_after" else 0.0)
        else:
            await _write(send, reply, slow_seconds=seconds if kind == "slow" else 0.0)

    def _reply(self, request: SimulatorRequest, fault: Fault | None) -> SimulatorResponse:
        kind = fault.kind if fault else ""
        if fault is not None and kind == "refuse":
            return self._simulator.refuse(fault.code)
        if kind in _INSTEAD:
            return _INSTEAD[kind]
        reply = self._simulator.api(request)
        mangle = _MANGLED.get(kind)
        return reply if mangle is None else mangle(reply)

    def _control(self, request: SimulatorRequest) -> SimulatorResponse:
        path = request.path.removeprefix("/control/")
        name, _, payment_id = path.partition("/")
        handler = self._CONTROLS.get((request.method, name))
        if handler is None:
            return json_reply(404, {"error": f"no {request.method} {request.path} here"})
        try:
            data = msgspec.json.decode(request.body) if request.body else {}
            return json_reply(200, handler(self, data, payment_id))
        except (msgspec.MsgspecError, ProviderRefusedError) as error:
            return json_reply(400, {"error": str(error)})
        except RateLimitedError as error:
            return json_reply(503, {"error": str(error)}, retry_after="1")

    def _payments(self, data: Any, payment_id: str) -> Any:
        if payment_id:
            return self._simulator.change(payment_id, data)
        if isinstance(data, list):
            return [self._simulator.create(order) for order in data]
        return self._simulator.create(data)

    def _night(self, data: Any, payment_id: str) -> Any:
        return self._simulator.night(data)

    def _book(self, data: Any, payment_id: str) -> Any:
        return {
            **self._simulator.book.as_json(),
            **self._simulator.summary(),
            "waiting": self._simulator.webhooks.waiting,
        }

    def _counters(self, data: Any, payment_id: str) -> Any:
        return {**self._simulator.book.counters, "webhooks.waiting": self._simulator.webhooks.waiting}

    def _sent(self, data: Any, payment_id: str) -> Any:
        return list(self._simulator.webhooks.sent)

    def _notifications(self, data: Any, payment_id: str) -> Any:
        wanted = msgspec.convert(data, _Notifications)
        webhooks = self._simulator.webhooks
        webhooks.target = webhooks.target if wanted.target is None else wanted.target
        webhooks.paused = webhooks.paused if wanted.paused is None else wanted.paused
        webhooks.wake()
        return {"target": webhooks.target, "paused": webhooks.paused}

    def _change_shop(self, data: Any, merchant: str) -> Any:
        shop = next((one for one in self._simulator.settings.shops if one.merchant == merchant), None)
        if shop is None or not isinstance(data, dict):
            raise ProviderRefusedError("refused", f"no shop {merchant}")
        changed = msgspec.convert({**msgspec.to_builtins(shop), **data}, type(shop))
        for name in shop.__struct_fields__:
            setattr(shop, name, getattr(changed, name))
        return {}

    def _add_fault(self, data: Any, payment_id: str) -> Any:
        self._faults.add(msgspec.convert(data, Fault))
        return {}

    def _clear_faults(self, data: Any, payment_id: str) -> Any:
        self._faults.clear()
        return {}

    _CONTROLS: Final = {
        ("POST", "payments"): _payments,
        ("POST", "night"): _night,
        ("GET", "book"): _book,
        ("GET", "counters"): _counters,
        ("GET", "sent"): _sent,
        ("POST", "notifications"): _notifications,
        ("POST", "shops"): _change_shop,
        ("POST", "faults"): _add_fault,
        ("DELETE", "faults"): _clear_faults,
    }


class _Notifications(msgspec.Struct, forbid_unknown_fields=True):
    target: str | None = None
    paused: bool | None = None


#: The responses of faults that do not process the call.
_INSTEAD: Final[Mapping[str, SimulatorResponse]] = {
    "broken": SimulatorResponse(500, b"Internal Server Error", "text/plain"),
    "unavailable": SimulatorResponse(503, b"Service Unavailable", "text/plain"),
    "too_many": SimulatorResponse(429, b"", headers={"retry-after": "1"}),
    "html": SimulatorResponse(200, _HTML, "text/html"),
    "empty_401": SimulatorResponse(401, b"", headers={"content-encoding": "gzip"}),
}


def _encoded(reply: SimulatorResponse, body: bytes, encoding: str) -> SimulatorResponse:
    return replace(reply, body=body, headers={**reply.headers, "content-encoding": encoding})


#: What the faults that process the call make of its response.
_MANGLED: Final[Mapping[str, Callable[[SimulatorResponse], SimulatorResponse]]] = {
    "html_after": lambda reply: _INSTEAD["html"],
    "truncated": lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
    "byte_order_mark": lambda reply: replace(reply, body=b"\xef\xbb\xbf" + reply.body),
    "empty_encoding": lambda reply: _encoded(reply, reply.body, ""),
    "unknown_encoding": lambda reply: _encoded(reply, reply.body, "utf-8"),
    "encoding_forgotten": lambda reply: replace(reply, body=gzip.compress(reply.body)),
    "broken_compression": lambda reply: _encoded(reply, gzip.compress(reply.body)[:-9], "gzip"),
    "wrong_type": lambda reply: replace(reply, content_type="text/html"),
}


async def _read(scope: Scope, receive: Receive) -> SimulatorRequest | None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _BODY_BYTES:
            return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return SimulatorRequest(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body)


async def _write(send: Send, reply: SimulatorResponse, *, slow_seconds: float = 0.0) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.encode(), value.encode()) for name, value in reply.headers.items()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if slow_seconds:
        size = max(1, len(reply.body) // _SLOW_PIECES)
        for start in range(0, len(reply.body), size):
            await asyncio.sleep(slow_seconds / _SLOW_PIECES)
            piece = reply.body[start : start + size]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": reply.body})


async def _break(receive: Receive, send: Send, *, after_seconds: float) -> None:
    """No response: wait for so long, or until the caller gives up, then break the connection."""
    if after_seconds:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_seconds):
                await _gone(receive)
                return
    # ASGI cannot break a connection; uvicorn's own transport is behind `send`
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _SimulatorServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without uvicorn's signal handling, which would end the process by the signal instead of with exit code 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(simulator: Simulator[Any], address: str) -> None:
    """Serve until SIGTERM or SIGINT; the port is logged as the event ``listening``."""
    listener = bound_socket(address)
    listener.listen(1024)
    event(logger, "listening", port=listener.getsockname()[1], provider=simulator.provider)
    server = _SimulatorServer(
        uvicorn.Config(
            App(simulator),
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
    )
    simulator.start()
    sending = asyncio.create_task(simulator.webhooks.run())
    try:
        await server.serve(sockets=[listener])
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
