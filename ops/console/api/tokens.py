"""Who calls the API: a token's digest is compared with every configured one, each in the same time."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from paynotify.ingest.limits import TokenBucket
from paynotify.schemas.configuration.console_api import ApiScope, ApiToken
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError, SecretError

#: A shorter one could be guessed.
_LEAST_CHARACTERS: Final = 32
#: No token is as long; hashing a long text would be work for nothing.
_MAX_CHARACTERS: Final = 1024
_SCHEME: Final = "bearer "
_NO_DIGEST: Final = b"\0" * 32


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """A program that is known. ``merchants`` are those it may see; None for all, those of the future too."""

    name: str
    scopes: frozenset[ApiScope]
    merchants: frozenset[str] | None
    bucket: TokenBucket
    calls_per_second: float

    def sees(self, merchant: str) -> bool:
        """Whether it may see what belongs to the merchant."""
        return self.merchants is None or merchant in self.merchants


class ApiTokens:
    """The configured tokens. A changed secret file is valid within a second.

    Raises:
        ConfigurationError: a secret can't be read, or is too short for a token.
    """

    def __init__(self, tokens: Iterable[ApiToken], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known = [(_digest_of(one), _caller(one)) for one in tokens]
        for digest, _ in self._known:
            digest()

    def caller(self, authorization: str) -> ApiCaller | None:
        """Who sends this ``Authorization`` header; None if nobody known does."""
        if not authorization.lower().startswith(_SCHEME) or len(authorization) > _MAX_CHARACTERS:
            return None
        presented = sha256(authorization[len(_SCHEME) :].strip().encode("utf-8", "replace")).digest()
        found = None
        for digest, caller in self._known:  # all of them: the time tells nothing of which one it is
            if hmac.compare_digest(presented, _readable(digest)):
                found = caller
        return found

    def wait_seconds(self, caller: ApiCaller) -> int:
        """0 if the caller may call now, which takes one of its calls; else after how many seconds it may."""
        if caller.bucket.take(self._clock()):
            return 0
        return max(1, round(1 / caller.calls_per_second))


def _caller(token: ApiToken) -> ApiCaller:
    return ApiCaller(
        token.name,
        frozenset(token.scopes),
        frozenset(token.merchants) or None,
        TokenBucket(token.calls_per_second, token.burst),
        token.calls_per_second,
    )


def _digest_of(token: ApiToken) -> Callable[[], bytes]:
    if token.sha256 is not None:
        digest = bytes.fromhex(token.sha256)
        return lambda: digest
    assert token.token is not None  # the configuration has exactly one of both
    secret = Secret(token.token)

    def of_secret() -> bytes:
        text = secret.reveal()
        if len(text) < _LEAST_CHARACTERS:
            raise ConfigurationError(
                f"The token of console.api_tokens {token.name} must have at least {_LEAST_CHARACTERS} characters. "
                "Make one with `openssl rand -base64 32`."
            )
        return sha256(text.encode()).digest()

    return of_secret


def _readable(digest: Callable[[], bytes]) -> bytes:
    """A secret that was lost or became too short is nobody's token, and the other tokens still are."""
    try:
        return digest()
    except (SecretError, ConfigurationError):
        return _NO_DIGEST
