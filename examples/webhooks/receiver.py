"""Receives results by HTTP: verifies each call, applies each event once, and answers before it works on anything.

pip install standardwebhooks
WEBHOOK_SECRET=whsec_... python receiver.py 8000
"""

from __future__ import annotations

import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BYTES = 1_000_000

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
store = sqlite3.connect(os.environ.get("EVENTS_FILE", "events.db"))
store.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, type TEXT, body BLOB)")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BYTES:
            self.answer(413)
            return
        body = self.rfile.read(length)
        try:
            event = webhook.verify(body, dict(self.headers))  # over the bytes as received, before they are parsed
        except WebhookVerificationError:
            self.answer(401)
            return
        with store:  # commits before the answer: what was answered is stored
            applied = store.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?)", (self.headers["webhook-id"], event["type"], body)
            )
        if applied.rowcount:  # a repeat changes nothing
            print(event["type"], event["data"]["event_id"], flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
