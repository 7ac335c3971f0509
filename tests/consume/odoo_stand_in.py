"""A stand-in for Odoo's JSON-2 API: the few models and methods that the example calls, in memory, over real HTTP.

It knows nothing of Odoo's rules (accounts, taxes, access rights, locked periods). It shows that the example's calls
have the documented form and that doing them again changes nothing, not that an Odoo takes them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson

API_KEY: Final = "key"
DATABASE: Final = "shop"

Row = dict[str, Any]

_MODELS: Final = ("sale.order", "account.payment", "res.currency", "mail.message")


class OdooStandIn:
    """A server with a database; ``fails`` says of the number of a call whether its response is lost afterwards."""

    def __init__(self, fails: Callable[[int], bool] = lambda number: False) -> None:
        self.rows: dict[str, list[Row]] = {model: [] for model in _MODELS}
        self.confirmed: list[int] = []
        self.calls = 0
        self._fails = fails
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, body = stand_in._answer(self)
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # the parent's name
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, table: str, **values: Any) -> int:
        self.rows[table].append({"id": len(self.rows[table]) + 1, **values})
        return len(self.rows[table])

    def _answer(self, call: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        body = orjson.loads(call.rfile.read(int(call.headers["Content-Length"])))
        if call.headers["Authorization"] != f"bearer {API_KEY}" or call.headers["X-Odoo-Database"] != DATABASE:
            return 401, orjson.dumps({"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"})
        prefix, model, method = call.path.rsplit("/", 2)
        assert prefix == "/json/2", call.path
        found = getattr(self, f"_{method}")(model, **body)
        self.calls += 1
        if self._fails(self.calls):
            return 502, b"<html>bad gateway</html>"
        return 200, orjson.dumps(found)

    def _search_read(self, model: str, domain: list[Any], fields: list[str], limit: int | None = None) -> list[Row]:
        found = [row for row in self.rows[model] if all(_holds(row, *term) for term in domain)][:limit]
        return [{"id": row["id"], **{name: row[name] for name in fields}} for row in found]

    def _search_count(self, model: str, domain: list[Any]) -> int:
        return len(self._search_read(model, domain, []))

    def _create(self, model: str, vals_list: list[Mapping[str, Any]]) -> list[int]:
        return [self.add(model, state="draft", **values) for values in vals_list]

    def _action_post(self, model: str, ids: list[int]) -> None:
        for row in self._of(model, ids):
            assert row["state"] == "draft", "only a draft can be posted"
            row["state"] = "paid"

    def _action_confirm(self, model: str, ids: list[int]) -> bool:
        for row in self._of(model, ids):
            assert row["state"] in {"draft", "sent"}, "only a quotation can be confirmed"
            row["state"] = "sale"
        self.confirmed += ids
        return True

    def _message_post(self, model: str, ids: list[int], body: str) -> int:
        (res_id,) = ids
        return self.add("mail.message", model=model, res_id=res_id, body=body)

    def _of(self, model: str, ids: list[int]) -> list[Row]:
        return [row for row in self.rows[model] if row["id"] in ids]


def _holds(row: Row, name: str, operator: str, value: Any) -> bool:
    if operator == "=like":
        return str(row[name]).startswith(value.rstrip("%"))
    if operator == "ilike":
        return value.lower() in row[name].lower()
    assert operator == "=", operator
    return bool(row[name] == value)
