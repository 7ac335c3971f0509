"""The tokens of the console's API: who may ask it, for what, of which merchants, and how often."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from paynotify.schemas.configuration.merchants import MerchantId
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Count, Positive, Section

#: What a token may read: what is known of an order, a payment's newest event, and what operators look at.
ApiScope: TypeAlias = Literal["orders:read", "payments:read", "operations:read"]

TokenName: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class ApiToken(Section, frozen=True, kw_only=True):
    """One program that may ask the console's API. Its token is known by its SHA-256, or is in a secret."""

    name: TokenName
    """The program's name in logs."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    """SHA-256 of the token, in hexadecimal digits. The token itself is then in no file of paynotify's."""
    token: SecretRef | None = None
    """The token itself, at least 32 characters, instead of `sha256`."""
    scopes: Annotated[tuple[ApiScope, ...], Meta(min_length=1)]
    """What it may read: orders, payments' newest events, or what operators look at (search, attention, lists, flow)."""
    merchants: tuple[MerchantId, ...] = ()
    """Only what belongs to these merchants (default: all)."""
    calls_per_second: Positive = 10.0
    """Calls per second on average. Calls beyond the rate and burst get 429."""
    burst: Count = 50
    """Calls at once after a quiet time."""

    def __post_init__(self) -> None:
        if (self.sha256 is None) == (self.token is None):
            raise ValueError("a token of the API has exactly one of sha256 and token")
