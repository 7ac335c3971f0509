"""A merchant's account at a provider: its section of the configuration, with its secrets at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.secrets import Secret, SecretRef, reveal_all

M_co = TypeVar("M_co", bound=Merchant, covariant=True)


@dataclass(frozen=True, slots=True)
class Account(Generic[M_co]):
    """One merchant of a provider. ``secrets`` holds every secret that the merchant's section refers to."""

    merchant: M_co
    secrets: Mapping[SecretRef, Secret]

    def reveal(self, reference: SecretRef) -> str:
        """The secret's present value.

        Raises:
            SecretError: the secret can't be read.
        """
        return self.secrets[reference].reveal()

    def reveal_all(self, references: Iterable[SecretRef]) -> tuple[str, ...]:
        """Every value that is valid now; an unreadable secret does not hide the others.

        Raises:
            SecretError: none of the secrets can be read.
        """
        return reveal_all(tuple(self.secrets[one] for one in references))


M = TypeVar("M", bound=Merchant)


def open_account(merchant: M, needed: Iterable[SecretRef] | None = None) -> Account[M]:
    """The merchant's account. Secrets are read now, so that a wrong path is found at the start, and again later.

    Where only the secrets ``needed`` are used, the others need not exist; by default all are needed.

    Raises:
        SecretError: a needed secret can't be read.
    """
    secrets = {reference: Secret(reference) for _, reference in merchant.secret_references()}
    for reference in secrets if needed is None else needed:
        secrets[reference].reveal()
    return Account(merchant, secrets)
