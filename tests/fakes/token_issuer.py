"""An issuer of tokens for brokers: an OIDC token endpoint and its keys, over HTTP, for one client."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus

from jwcrypto import jwk, jwt

CLIENT: Final = "paynotify"
#: With characters that a form encodes.
SECRET: Final = "s3cret+of:a/client %"
AUDIENCE: Final = "kafka"
ISSUER: Final = "https://issuer.example"


class TokenIssuer:
    """Issues tokens of so many seconds, as a context manager; ``issued`` is how many it has.

    ``status`` other than 200 refuses all requests for tokens.
    """

    def __init__(self, lifetime_seconds: float = 3600.0, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if tls is None else "https"
        self.lifetime_seconds = lifetime_seconds
        self.status = 200
        self.issued = 0
        self.forms: list[dict[str, list[str]]] = []
        self._key = jwk.JWK.generate(kty="RSA", size=2048, kid="1", use="sig", alg="RS256")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(200, {"keys": [json.loads(issuer._key.export_public())]})

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                issuer.forms.append(parse_qs(form))
                if not _known(self.headers.get("Authorization", "")):
                    self._say(401, {"error": "invalid_client", "error_description": SECRET})
                elif issuer.status != 200:
                    self._say(issuer.status, {"error": "unknown words", "error_description": SECRET})
                else:
                    issuer.issued += 1
                    self._say(200, {"access_token": issuer.token(), "expires_in": issuer.lifetime_seconds})

            def _say(self, status: int, body: dict[str, Any]) -> None:
                said = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                """Quietly."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="issuer", daemon=True)

    def __enter__(self) -> TokenIssuer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def endpoint(self) -> str:
        return f"{self.address}/token"

    @property
    def keys(self) -> str:
        return f"{self.address}/keys"

    def token(self) -> str:
        """A signed token of the client."""
        now = time.time()
        content = {"iss": ISSUER, "sub": CLIENT, "aud": AUDIENCE, "iat": now, "exp": now + self.lifetime_seconds}
        made = jwt.JWT(header={"alg": "RS256", "kid": "1"}, claims=content)
        made.make_signed_token(self._key)
        return str(made.serialize())


def _known(authorization: str) -> bool:
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        return False
    return (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)
