"""An issuer of tokens for brokers: an OIDC token endpoint and its keys, over HTTP, for one client."""

from __future__ import annotations

import ssl
import time
from typing import Final
from urllib.parse import SplitResult

from tests.fakes.issuer_server import SECRET, IssuerServer, JsonAnswer, first_key, key_set, signed

CLIENT: Final = "paynotify"
AUDIENCE: Final = "kafka"
ISSUER: Final = "https://issuer.example"


class TokenIssuer(IssuerServer):
    """Issues tokens of so many seconds, as a context manager; ``issued`` is how many it has.

    ``status`` other than 200 refuses all requests for tokens.
    """

    def __init__(self, lifetime_seconds: float = 3600.0, tls: ssl.SSLContext | None = None) -> None:
        self.lifetime_seconds = lifetime_seconds
        self.status = 200
        self.issued = 0
        self.forms: list[dict[str, list[str]]] = []
        self._key = first_key()
        super().__init__(tls)

    def got(self, url: SplitResult) -> JsonAnswer:
        return JsonAnswer(200, key_set(self._key))

    def posted(self, form: dict[str, list[str]], client: tuple[str, str] | None) -> JsonAnswer:
        self.forms.append(form)
        if client != (CLIENT, SECRET):
            return JsonAnswer(401, {"error": "invalid_client", "error_description": SECRET})
        if self.status != 200:
            return JsonAnswer(self.status, {"error": "unknown words", "error_description": SECRET})
        self.issued += 1
        return JsonAnswer(200, {"access_token": self.token(), "expires_in": self.lifetime_seconds})

    @property
    def endpoint(self) -> str:
        return f"{self.url}/token"

    @property
    def keys(self) -> str:
        return f"{self.url}/keys"

    def token(self) -> str:
        """A signed token of the client."""
        now = time.time()
        content = {"iss": ISSUER, "sub": CLIENT, "aud": AUDIENCE, "iat": now, "exp": now + self.lifetime_seconds}
        return signed(content, self._key, {"alg": "RS256", "kid": self._key["kid"]})
