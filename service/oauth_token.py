"""The token with which a process authenticates to the brokers (SASL/OAUTHBEARER), renewed before it expires.

Clients ask for it in their network code, where nothing may block: for each connection, and whenever a session must be
renewed. So a thread fetches each token ahead of time, and all clients of the process share it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from kafka.net.sasl.oauth import AbstractTokenProvider

from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import TokenUnavailableError
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.kafka")

#: Of a token's lifetime, after which the next one is fetched. The rest is for an endpoint that is away.
_RENEW_SHARE: Final = (0.7, 0.8)
_MIN_WAIT_SECONDS: Final = 0.5
_FIRST_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE_SECONDS: Final = 30.0
#: Longer than one attempt to fetch a token.
_FIRST_TOKEN_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """A token, and when it expires (monotonic)."""

    text: str = field(repr=False)
    expires_at_seconds: float


class TokenSource(Protocol):
    """Fetches tokens; ``name`` says from where, for messages."""

    @property
    def name(self) -> str: ...

    def fetch(self) -> OAuthToken:
        """A new token.

        Raises:
            TokenUnavailableError: there is none now.
        """
        ...


class BrokerToken(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """What every client is given. kafka-python calls it itself; for aiokafka see `processors.transport.patches`."""

    def __init__(self, extensions: Mapping[str, str]) -> None:
        super().__init__()
        self._extensions = dict(extensions)

    def extensions(self) -> dict[str, str]:
        return self._extensions

    def token(self) -> str:
        """The present token. Never waits.

        Raises:
            TokenUnavailableError: there is none.
        """
        raise NotImplementedError

    def await_first(self) -> None:
        """Wait for the first token, some seconds at most.

        Raises:
            TokenUnavailableError: there is none.
        """
        self.token()


class FileToken(BrokerToken):
    """A token that somebody else writes into a file, and renews there.

    Raises:
        SecretError: the file can't be read.
    """

    def __init__(self, path: str, extensions: Mapping[str, str]) -> None:
        super().__init__(extensions)
        self._secret = Secret(SecretRef(file=path))
        self._secret.reveal()

    def token(self) -> str:
        return self._secret.reveal().strip()


class FetchedToken(BrokerToken):
    """A token that a thread of this process fetches from the source, again and again."""

    def __init__(self, source: TokenSource, extensions: Mapping[str, str]) -> None:
        super().__init__(extensions)
        self._source = source
        self._token: OAuthToken | None = None
        self._problem: TokenUnavailableError | None = None
        self._tried = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-token", daemon=True)
        self._thread.start()

    def token(self) -> str:
        present = self._token
        if present is None or present.expires_at_seconds <= time.monotonic():
            raise TokenUnavailableError(str(self._problem or f"{self._source.name} has not answered yet."))
        return present.text

    def await_first(self) -> None:
        self._tried.wait(_FIRST_TOKEN_SECONDS)
        self.token()

    def stop(self) -> None:
        """Fetch no more; waits for a call in progress."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            try:
                self._token = token = self._source.fetch()
            except TokenUnavailableError as error:
                self._failed(error)
                wait_seconds = pause_seconds * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter, not a secret
                pause_seconds = min(2 * pause_seconds, _MAX_PAUSE_SECONDS)
            else:
                self._succeeded()
                pause_seconds = _FIRST_PAUSE_SECONDS
                lifetime_seconds = token.expires_at_seconds - time.monotonic()
                wait_seconds = lifetime_seconds * random.uniform(*_RENEW_SHARE)  # noqa: S311 - a jitter, not a secret
            self._tried.set()
            self._stopped.wait(max(wait_seconds, _MIN_WAIT_SECONDS))

    def _failed(self, error: TokenUnavailableError) -> None:
        if self._problem is None:
            event(logger, "broker_token_unavailable", level=logging.WARNING, problem=str(error))
        self._problem = error

    def _succeeded(self) -> None:
        if self._problem is not None:
            event(logger, "broker_token_available")
        self._problem = None
