"""The merchant's side of a simulator's notifications: a real HTTP server on a free port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from paynotify.sandbox.processes import wait_for


class Receiver:
    """The merchant's side: keeps every notification, answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                receiver.calls.append((self.command, self.path, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the names are http.server's

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> list[tuple[str, str, bytes]]:
        assert wait_for(lambda: len(self.calls) >= count, within_seconds=10), self.calls
        return list(self.calls)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
