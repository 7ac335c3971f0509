"""An OpenID Connect issuer at which users sign in, over HTTP: discovery, keys, authorization code with PKCE, RS256."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlencode

from jwcrypto import jwk

from tests.fakes.issuer_server import SECRET, IssuerServer, JsonAnswer, first_key, key_set, new_key, signed

CLIENT: Final = "console"


class LoginIssuer(IssuerServer):
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
        self._key = first_key()
        super().__init__()

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self._key = new_key()

    def got(self, url: SplitResult) -> JsonAnswer:
        if self.status != 200:
            return JsonAnswer(self.status, {"error": "unavailable"})
        if url.path == "/authorize":
            return JsonAnswer(302, {}, self._authorize(_one_each(parse_qs(url.query))))
        if url.path == "/keys":
            return JsonAnswer(200, key_set(self._key))
        return JsonAnswer(200, self._discovery())

    def posted(self, form: dict[str, list[str]], client: tuple[str, str] | None) -> JsonAnswer:
        given = _one_each(form)
        if self._client_of(client, given) != (CLIENT, SECRET):
            return JsonAnswer(401, {"error": "invalid_client"})
        found = self._redeem(given)
        if found is None:
            return JsonAnswer(400, {"error": "invalid_grant", "error_description": SECRET})
        return JsonAnswer(200, found)

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

    def _client_of(self, client: tuple[str, str] | None, form: dict[str, str]) -> tuple[str, str] | None:
        """Who asks for a token: by the header, or by the form if discovery lists that alone."""
        if self.metadata.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            return form.get("client_id", ""), form.get("client_secret", "")
        return client

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
        return signed(claims, key, {"alg": self.algorithm, "kid": self._key["kid"]})


def _one_each(form: dict[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in form.items()}
