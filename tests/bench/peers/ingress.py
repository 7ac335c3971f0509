"""A minimal ingress to compare with: raw ASGI under uvicorn, aiokafka's idempotent producer, each record awaited.

It stores a body before it answers 200 and does nothing else: no limits, no deadlines, no headers but a few
constants, no metrics, no orderly end.
"""

from __future__ import annotations

import argparse
import json
import socket
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer

_HEADERS = [("ce_specversion", b"1.0"), ("content-type", b"application/x-www-form-urlencoded")]
_OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_END = {"type": "http.response.body", "body": b""}


class Ingress:
    """The application."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._producer: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        key = body.partition(b"transactionreference=")[2].partition(b"&")[0]
        await self._producer.send_and_wait(self._topic, body, key=key, headers=_HEADERS)
        await send(_OK)
        await send(_END)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    """Serve on a free port, which is printed as the event ``listening``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    arguments = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(json.dumps({"event": "listening", "port": listener.getsockname()[1]}), flush=True)
    settings: Any = {"http": "httptools", "loop": "uvloop", "log_config": None, "access_log": False}
    app = Ingress(arguments.bootstrap, arguments.topic)
    uvicorn.Server(uvicorn.Config(app, lifespan="on", **settings)).run(sockets=[listener])


if __name__ == "__main__":
    main()
