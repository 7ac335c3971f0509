"""What the issuers of tests share: an HTTP server that speaks JSON, a signing key, and how a client says who it is."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
from abc import ABC, abstractmethod
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, parse_qs, unquote_plus, urlsplit

from jwcrypto import jwk, jwt

#: Of the one client. With characters that a form encodes.
SECRET: Final = "s3cret+of:a/client %"


class JsonAnswer(NamedTuple):
    """What a call is answered with, and where it leads."""

    status: int
    body: dict[str, Any]
    location: str | None = None


class IssuerServer(ABC):
    """Serves on a free port, as a context manager."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if tls is None else "https"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="issuer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @abstractmethod
    def got(self, url: SplitResult) -> JsonAnswer:
        """The answer to a GET."""

    @abstractmethod
    def posted(self, form: dict[str, list[str]], client: tuple[str, str] | None) -> JsonAnswer:
        """The answer to a POST of a client, which named itself in the header."""


def _handler(issuer: IssuerServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(issuer.got(urlsplit(self.path)))

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._say(issuer.posted(form, _client(self.headers.get("Authorization", ""))))

        def _say(self, answer: JsonAnswer) -> None:
            said = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            if answer.location is not None:
                self.send_header("Location", answer.location)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    return Handler


def _client(authorization: str) -> tuple[str, str] | None:
    """The name and the secret of HTTP's Basic authentication, form-encoded as RFC 6749 says."""
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        return None
    return unquote_plus(name), unquote_plus(secret)


def new_key() -> jwk.JWK:
    return jwk.JWK.generate(kty="RSA", size=2048, kid=secrets.token_hex(4), use="sig", alg="RS256")


@cache
def first_key() -> jwk.JWK:
    """Of all issuers: to make one takes some tenths of a second."""
    return new_key()


def key_set(key: jwk.JWK) -> dict[str, Any]:
    """What an issuer publishes of its key."""
    return {"keys": [json.loads(key.export_public())]}


def signed(claims: dict[str, Any], key: jwk.JWK, header: dict[str, str]) -> str:
    """The claims as a token."""
    made = jwt.JWT(header=header, claims=claims)
    made.make_signed_token(key)
    return str(made.serialize())
