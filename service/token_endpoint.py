"""Asks an OIDC token endpoint for a token with the client credentials (RFC 6749, section 4.4)."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from paynotify.schemas.configuration.kafka import OAuthSettings
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import TokenUnavailableError
from paynotify.service.expiry import token_end
from paynotify.service.oauth_token import OAuthToken

_CALL_SECONDS: Final = 10.0
_MAX_BYTES: Final = 64 * 1024
#: Of a token that nobody says the end of.
_DEFAULT_SECONDS: Final = 300.0
_MAX_SECONDS: Final = 24 * 3600.0
#: What the endpoint may say (RFC 6749, section 5.2). Its other words are not repeated.
_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


class TokenEndpoint:
    """One endpoint and one client of it.

    Raises:
        SecretError: the client's secret can't be read.
    """

    def __init__(self, settings: OAuthSettings) -> None:
        assert settings.token_endpoint is not None
        assert settings.client_secret is not None
        self.name = f"the token endpoint {settings.token_endpoint}"
        self._settings = settings
        self._url = urlsplit(settings.token_endpoint)
        self._secret = Secret(settings.client_secret)
        self._secret.reveal()

    def fetch(self) -> OAuthToken:
        """A new token. Blocks for some seconds at most.

        Raises:
            TokenUnavailableError: there is no answer, or it has no token.
        """
        asked_at = time.monotonic()
        try:
            status, body = self._answer()
        except (OSError, http.client.HTTPException) as error:
            raise TokenUnavailableError(
                f"{self.name} did not answer ({type(error).__name__}). Check that it runs, the network, and "
                "kafka.sasl_oauth.ca_file."
            ) from None
        said = _parsed(body)
        token = said.get("access_token")
        if status != http.HTTPStatus.OK or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            word = said.get("error")
            reason = f", {word}" if isinstance(word, str) and word in _ERRORS else ""
            raise TokenUnavailableError(
                f"{self.name} gave no token (HTTP {status}{reason}). Check the endpoint, client_id, client_secret and "
                "scope of kafka.sasl_oauth."
            )
        return OAuthToken(token, asked_at + _lifetime_seconds(token, said.get("expires_in")))

    def _answer(self) -> tuple[int, bytes]:
        # encoded before they are joined, as the RFC says: a secret may have a colon
        client = f"{quote_plus(self._settings.client_id or '')}:{quote_plus(self._secret.reveal())}"
        form = {"grant_type": "client_credentials"}
        if self._settings.scope:
            form["scope"] = self._settings.scope
        headers = {
            "Authorization": f"Basic {base64.b64encode(client.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        with self._connection() as connection:
            connection.request("POST", self._url.path or "/", urlencode(form), headers)
            response = connection.getresponse()
            return response.status, response.read(_MAX_BYTES)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut when its time is over: each single read has a limit of its own only."""
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            # made anew for each token: the authorities may have changed
            context = ssl.create_default_context(cafile=self._settings.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=_CALL_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_CALL_SECONDS)
        with contextlib.closing(connection):
            connection.connect()
            timer = threading.Timer(_CALL_SECONDS, _cut, (connection.sock,))
            timer.daemon = True
            timer.start()
            try:
                yield connection
            finally:
                timer.cancel()


def _cut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _lifetime_seconds(token: str, expires_in: object) -> float:
    """For how long the token is valid. What the endpoint says counts first: it does not depend on this host's clock."""
    seconds = _DEFAULT_SECONDS
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool):
        seconds = float(expires_in)
    elif (end := token_end(token)) is not None:
        seconds = end - time.time()
    return min(max(seconds, 0.0), _MAX_SECONDS)
