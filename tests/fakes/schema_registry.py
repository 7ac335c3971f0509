"""A registry that answers over HTTP or HTTPS as Confluent's API does; `make registry` runs a real one."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import NAMESPACE_URL, uuid5

_SUBJECT = re.compile(r"/(subjects|config|compatibility/subjects)/([^/]+)(/versions(/latest)?)?\Z")


class Registry:
    """What it holds. ``refuses`` is a status that every call gets; ``expects`` what each must be authorised with."""

    def __init__(self) -> None:
        self.subjects: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.calls: list[str] = []
        self.refuses: int | None = None
        self.expects: str | None = None
        self.incompatible: set[str] = set()

    def answer(self, method: str, path: str, body: Any, authorization: str | None) -> tuple[int, Any]:
        self.calls.append(f"{method} {path}")
        if self.refuses is not None:
            return self.refuses, {"message": "no\nwords", "error_code": self.refuses}
        if self.expects is not None and authorization != self.expects:
            return 401, {"message": "Unauthorized", "error_code": 401}
        matched = _SUBJECT.match(path.removeprefix("/api"))
        assert matched, path
        kind, subject, versions, _ = matched.groups()
        known = self.subjects.get(subject)
        if kind == "config":
            if method == "PUT":
                self.levels[subject] = body["compatibility"]
                return 200, body
            level = self.levels.get(subject)
            return (200, {"compatibilityLevel": level}) if level else (404, {"error_code": 40408})
        if kind == "compatibility/subjects":
            return 200, {"is_compatible": subject not in self.incompatible}
        if not versions:
            if known is None:
                return 404, {"error_code": 40401}
            return self._id(body["schema"]) if body["schema"] in known else (404, {"error_code": 40403})
        if subject in self.incompatible:
            return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
        self.subjects.setdefault(subject, []).append(body["schema"])
        return self._id(body["schema"])

    def _id(self, schema: str) -> tuple[int, Any]:
        return 200, {"id": len(schema), "guid": str(uuid5(NAMESPACE_URL, schema))}


@contextmanager
def serving(registry: Registry, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The registry's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, said = registry.answer(self.command, self.path, body, self.headers.get("Authorization"))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    for method in ("GET", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler._handle)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
