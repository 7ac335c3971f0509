"""The OpenID Connect issuer at which users sign in: authorization code with PKCE, by Authlib's client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from authlib.integrations.starlette_client import OAuth, OAuthError
from starlette.requests import Request
from starlette.responses import Response

from paynotify.schemas.configuration.console_access import SignInSettings
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError

_TIMEOUT_SECONDS: Final = 10.0
#: Users that may be on their way back from the issuer at the same time.
_MAX_CALLS: Final = 8
_LEEWAY_SECONDS: Final = 60
#: Signatures with a key that only the issuer has. An issuer may list ``none`` too, which proves nothing.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_BY_HEADER: Final = "client_secret_basic"
_BY_FORM: Final = "client_secret_post"


class SignInError(Exception):
    """The issuer signed nobody in. The text is for the log: no word of the issuer's or the browser's is in it."""


class OidcIssuer:
    """Sends browsers to the issuer, and asks it who came back.

    Raises:
        ConfigurationError: the authorities can't be used.
        SecretError: the client's secret can't be read.
    """

    def __init__(self, settings: SignInSettings) -> None:
        self._settings = settings
        self._secret = Secret(settings.client_secret)
        self._secret.reveal()
        self._tls = _tls(settings.ca_file)
        self._calls = asyncio.Semaphore(_MAX_CALLS)
        self._client: Any = None

    async def redirect(self, request: Request, back: str) -> Response:
        """The answer that sends the browser to the issuer, which sends it back to the URL ``back``.

        Raises:
            SignInError: the issuer can't be asked how.
        """
        answer: Response = await self._asked(lambda client: client.authorize_redirect(request, back))
        return answer

    async def claims(self, request: Request) -> Mapping[str, Any]:
        """What the issuer says of the user whose browser came back. Signature, issuer, audience, times and nonce hold.

        Raises:
            SignInError: nobody signed in there, or not in this browser, or the issuer's answer doesn't hold.
        """
        settings = self._settings
        options = {
            "iss": {"essential": True, "values": [settings.issuer]},
            "aud": {"essential": True, "values": [settings.client_id]},
        }
        token = await self._asked(
            lambda client: client.authorize_access_token(request, claims_options=options, leeway=_LEEWAY_SECONDS)
        )
        found: Mapping[str, Any] | None = token.get("userinfo")
        if found is None:
            raise SignInError("NoIdToken")
        return found

    async def _asked(self, ask: Any) -> Any:
        async with self._calls:
            try:
                return await ask(await self._ready())
            except Exception as error:  # noqa: BLE001 - Authlib lets those of three libraries out
                if not isinstance(error, OAuthError):  # as it is of a wrong way back, which anybody can send
                    self._client = None  # what it knows of the issuer may be old
                raise SignInError(str(error) if isinstance(error, SignInError) else type(error).__name__) from None

    async def _ready(self) -> Any:
        if self._client is None:
            self._client = self._registered()
        client = self._client
        metadata = await client.load_server_metadata()
        if metadata.get("issuer") != self._settings.issuer:
            raise SignInError("AnotherIssuer")
        listed = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = sorted(_ALGORITHMS.intersection(listed)) or ["RS256"]
        by_header = _BY_HEADER in (metadata.get("token_endpoint_auth_methods_supported") or [_BY_HEADER])
        client.client_kwargs["token_endpoint_auth_method"] = _BY_HEADER if by_header else _BY_FORM
        secret = self._secret.reveal()
        # RFC 6749, section 2.3.1: Authlib leaves out that a secret is form-encoded before it goes into the header
        client.client_secret = quote_plus(secret) if by_header else secret
        return client

    def _registered(self) -> Any:
        settings = self._settings
        return OAuth().register(
            "issuer",
            client_id=settings.client_id,
            server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(settings.scopes),
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_SECONDS,
                "verify": self._tls,
                "trust_env": False,
            },
        )


def _tls(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        why = "it holds no usable PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"console.access.oidc.ca_file {authorities} can't be used: {why}. Check the path and its permissions."
        ) from None
