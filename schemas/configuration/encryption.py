"""The ``encryption`` section of the configuration: the keys that the values of raw topics are encrypted with."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import Section


class EncryptionKey(Section, frozen=True, kw_only=True):
    """One key. Its id is a header of each record that it has encrypted."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}\Z")]
    """Name of the key, such as the month it began to be used. It never changes."""
    key: SecretRef
    """32 random bytes in base64, as `openssl rand -base64 32` prints them."""


class EncryptionSettings(Section, frozen=True, kw_only=True):
    """Encryption at rest of the values of notifications and responses (AES-256-GCM).

    All processes need it: the ingress encrypts, workers and commands do both.
    """

    keys: Annotated[tuple[EncryptionKey, ...], Meta(min_length=1, max_length=20)]
    """The first key encrypts; each of them decrypts what it has encrypted."""
    encrypt: bool = True
    """With false new records are not encrypted, and those of before can still be read."""

    def __post_init__(self) -> None:
        names = [one.id for one in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("keys must have different ids")
