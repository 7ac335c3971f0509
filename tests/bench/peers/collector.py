"""Takes spans as a collector does, and forgets them: what they cost a collector is not what is measured."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name is http.server's
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's parameter name
        return


def main() -> None:
    """Serve on a free port, which is printed as the event ``listening``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
        print(json.dumps({"event": "listening", "port": server.server_address[1]}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
