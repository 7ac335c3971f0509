"""An OpenID Connect issuer at which users sign in, over HTTP: discovery, keys, authorization code with PKCE, RS256."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote_plus, urlencode, urlsplit

from jwcrypto import jwk, jwt

CLIENT: Final = "console"
#: With characters that a form encodes.
SECRET: Final = "s3cret+of:a/client %"


class LoginIssuer:
    """Signs in whoever ``claims`` describes, without asking, as a context manager.

    A code is good once, for the redirect URI and the code verifier that it was asked with. ``changed`` are claims that
    replace those of the next id tokens, ``algorithm`` what they are signed with, and ``metadata`` replaces what
    discovery says. ``tokens`` and ``discoveries`` count what was asked for.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "1", "preferred_username": "alice", "groups": ["finance"]}
        self.changed: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.status = 200
        self.requests: list[dict[str, str]] = []
        self.tokens = 0
        self.discoveries = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._key = _first_key()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="issuer", daemon=True)

    def __enter__(self) -> LoginIssuer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self._key = _new_key()

    def answer(self, url: SplitResult) -> tuple[int, dict[str, Any], str | None]:
        """Status, body and where it leads, of a GET."""
        if self.status != 200:
            return self.status, {"error": "unavailable"}, None
        if url.path == "/authorize":
            return 302, {}, self._authorize(_one_each(url.query))
        if url.path == "/keys":
            return 200, {"keys": [json.loads(self._key.export_public())]}, None
        return 200, self._discovery(), None

    def token_answer(self, header: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body of a POST for a token."""
        if self._client_of(header, form) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        found = self._redeem(form)
        return (200, found) if found is not None else (400, {"error": "invalid_grant", "error_description": SECRET})

    def _discovery(self) -> dict[str, Any]:
        self.discoveries += 1
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "none"],
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }

    def _client_of(self, header: str, form: dict[str, str]) -> tuple[str, str] | None:
        """Who asks for a token: by the header, or by the form if discovery lists that alone."""
        if self.metadata.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            return form.get("client_id", ""), form.get("client_secret", "")
        return _client(header)

    def _authorize(self, asked: dict[str, str]) -> str:
        self.requests.append(asked)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(12)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def _redeem(self, form: dict[str, str]) -> dict[str, Any] | None:
        self.tokens += 1
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        return {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": self._id_token(asked)}

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        claims = {"iss": self.url, "aud": CLIENT, "nonce": asked["nonce"], **times, **self.claims, **self.changed}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            return (
                ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
                + "."
            )
        key = self._key
        if self.algorithm == "HS256":  # with the public key as the secret, which everybody knows
            key = jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(self._key.export_to_pem()).rstrip(b"=").decode())
        made = jwt.JWT(header={"alg": self.algorithm, "kid": self._key["kid"]}, claims=claims)
        made.make_signed_token(key)
        return str(made.serialize())


def _handler(issuer: LoginIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(*issuer.answer(urlsplit(self.path)))

        def do_POST(self) -> None:
            form = _one_each(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._say(*issuer.token_answer(self.headers.get("Authorization", ""), form))

        def _say(self, status: int, body: dict[str, Any], location: str | None = None) -> None:
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    return Handler


def _new_key() -> jwk.JWK:
    return jwk.JWK.generate(kty="RSA", size=2048, kid=secrets.token_hex(4), use="sig", alg="RS256")


@cache
def _first_key() -> jwk.JWK:
    """Of all issuers: to make one takes some tenths of a second."""
    return _new_key()


def _one_each(form: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(form).items()}


def _client(authorization: str) -> tuple[str, str] | None:
    try:
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        return None
    return unquote_plus(name), unquote_plus(secret)
