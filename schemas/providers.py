"""The registered payment providers, and the part of each that every process needs: its contract.

A provider is one package. Its ``contract`` module declares what the configuration, the ingress and the topics need and
imports nothing of the workers; its ``spec`` module adds the behaviour (`processors.providers.registry`). Both are
loaded by name, like plug-ins, so that the packages below need no knowledge of any provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Final

from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.routes import Route

#: The registry: one line for each provider, the package it is in.
PROVIDER_PACKAGES: Final = (
    "paynotify.processors.providers.omnikassa",
    "paynotify.processors.providers.trustpayments",
    "paynotify.processors.providers.nevogate",
    "paynotify.processors.providers.smartpay",
)

#: In our own messages, which are dead-lettered too (`schemas.messages`).
_OWN_ID_FIELDS: Final = frozenset(
    (
        "order_id",
        "payment_id",
        "request_id",
        "reference",
        "reference_payment_id",
        "refund_id",
        "chargeback_id",
        "user_id",
    )
)

_registered: Final = list(PROVIDER_PACKAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContract:
    """What a provider declares about itself. Durations are defaults that the configuration may change.

    ``duplicate_window_seconds`` is how long a notification is remembered, None where none may be taken for a
    duplicate. ``poll_schedule_seconds`` are the times after ``final_by`` at which an overdue payment is polled.
    ``calls_per_second`` is the provider's rate limit for each merchant, None where it has none. ``simulator`` is the
    sandbox's package that simulates the provider, None where there is none. ``verification_retries`` is how many times
    a notification is verified again that could not be judged, as one whose key has not been published yet.
    ``id_fields`` are the fields of notifications and responses that hold ids: a number in one of them is no card's,
    whatever it looks like (`service.card_numbers`).
    """

    name: str
    merchant: type[Merchant]
    route: Route
    operations: frozenset[str]
    poll_schedule_seconds: tuple[float, ...]
    duplicate_window_seconds: float | None = None
    calls_per_second: float | None = None
    simulator: str | None = None
    verification_retries: int = 0
    id_fields: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.merchant.__struct_config__.tag != self.name:
            raise ValueError(f"the merchant section of {self.name} must have the tag {self.name!r}")

    @property
    def one_queue_per_merchant(self) -> bool:
        """Whether all of a merchant's records have the merchant as their key: no record names a single payment."""
        return self.route.transaction is None


def provider_contracts() -> Mapping[str, ProviderContract]:
    """Every registered provider's contract by the provider's name, in the order of registration."""
    return _contracts(provider_packages())


def provider_names() -> tuple[str, ...]:
    """The name of every registered provider, in the order of registration."""
    return tuple(provider_contracts())


def provider_packages() -> tuple[str, ...]:
    """The package of every registered provider."""
    return tuple(_registered)


def provider_operations() -> frozenset[str]:
    """Every operation that some provider's lookups ask for."""
    return _operations(provider_packages())


def id_fields() -> frozenset[str]:
    """Every field that holds an id, in what some provider sends or in a message of paynotify."""
    return _OWN_ID_FIELDS.union(*(one.id_fields for one in provider_contracts().values()))


@contextmanager
def registered(package: str) -> Iterator[None]:
    """Register one more provider in this process until the block ends, such as a test's own."""
    _registered.append(package)
    try:
        yield
    finally:
        _registered.remove(package)


@lru_cache(maxsize=8)
def _contracts(packages: tuple[str, ...]) -> Mapping[str, ProviderContract]:
    contracts: list[ProviderContract] = [import_module(f"{package}.contract").CONTRACT for package in packages]
    return MappingProxyType({one.name: one for one in contracts})


@lru_cache(maxsize=8)
def _operations(packages: tuple[str, ...]) -> frozenset[str]:
    return frozenset().union(*(one.operations for one in _contracts(packages).values()))
