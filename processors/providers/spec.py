"""Everything the product knows of one provider, in one value: its `ProviderSpec`.

A provider's package has a ``spec`` module whose ``SPEC`` is found through the registry (`schemas.providers`). Whatever
a process or a command does differently for a provider, it finds here; nothing outside asks for a provider by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.background import BackgroundTask
from paynotify.processors.providers.base import CallContext, Provider, ProviderResponse
from paynotify.processors.providers.charging import ChargeGateway
from paynotify.processors.providers.payment_list import PaymentLister
from paynotify.schemas.providers import ProviderContract


@dataclass(frozen=True, slots=True)
class RecoveryQuery:
    """What a lookup without a notification asks for: the operation, the provider's id, and further arguments."""

    operation: str
    reference: str | None
    arguments: Mapping[str, str] = field(default_factory=dict)


#: The query that returns the state of an order or a payment (merchant, order id, payment id; an unknown id is empty);
#: None where the provider's rules allow no such query.
RecoveryRule = Callable[[Any, str, str], RecoveryQuery | None]


@dataclass(frozen=True, slots=True)
class FollowRule:
    """How payments are looked up that the provider still changes without a notification.

    ``references_per_lookup`` is how many references one lookup may ask for. ``query`` is the query for them (merchant,
    references); None where the merchant or the provider's rules allow none.
    """

    references_per_lookup: int
    query: Callable[[Any, tuple[str, ...]], RecoveryQuery | None]


class CredentialProbe(Protocol):
    """Whether the provider accepts an account's credentials, where finding out is harmless."""

    def skip_reason(self, account: Account[Any], *, recovery: bool) -> str | None:
        """Why the credentials are not tried; None where they are. ``recovery`` allows calls that are limited."""

    async def accepted(self, account: Account[Any], context: CallContext) -> bool:
        """Make the harmless call.

        Raises:
            PermanentError: the provider refuses the credentials.
            RetryableError: the provider could not be reached.
        """

    def secret_problem(self, account: Account[Any]) -> str | None:
        """What is wrong with the form of a readable secret; None where nothing is."""


@dataclass(frozen=True, slots=True)
class NoProbe:
    """For a provider whose credentials can't be tried without a side effect."""

    reason: str

    def skip_reason(self, account: Account[Any], *, recovery: bool) -> str | None:
        return self.reason

    async def accepted(self, account: Account[Any], context: CallContext) -> bool:
        raise NotImplementedError(self.reason)

    def secret_problem(self, account: Account[Any]) -> str | None:
        return None


def _as_captured(response: ProviderResponse) -> ProviderResponse:
    return response


def _never(response: ProviderResponse) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureInspection:
    """How calls captured outside the product are judged offline.

    ``check_return_url`` verifies the query of the customer's return URL, received at a time, and raises
    `RejectedNotificationError`; None where the provider does not sign it. ``recognise`` adds to a captured response
    what a stored one has among its facts. ``signed`` says whether a response carries a signature.
    ``secret_arguments`` are arguments of lookups that grant access. ``with_keys`` is the merchant with its public keys
    in a file instead of where they are published; None where nothing is verified with public keys.
    """

    check_return_url: Callable[[bytes, Account[Any], datetime], None] | None = None
    recognise: Callable[[ProviderResponse], ProviderResponse] = _as_captured
    signed: Callable[[ProviderResponse], bool] = _never
    secret_arguments: frozenset[str] = frozenset()
    with_keys: Callable[[Any, Path], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One provider. ``lister`` is None where it has no list of payments, ``charge_gateway`` where it can't charge,
    ``follow`` where it changes no payment without a notification, and ``background`` where nothing is to be done beside
    the stages; a worker that verifies the provider's notifications runs it."""

    contract: ProviderContract
    provider: Provider
    recovery: RecoveryRule
    probe: CredentialProbe
    inspection: CaptureInspection = CaptureInspection()
    follow: FollowRule | None = None
    lister: PaymentLister | None = None
    charge_gateway: ChargeGateway | None = None
    background: BackgroundTask | None = None

    @property
    def name(self) -> str:
        """The provider's name in configuration, routes and topics."""
        return self.contract.name
