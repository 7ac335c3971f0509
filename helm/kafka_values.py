"""The types of the chart's values for how each process signs in to Kafka."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from helm.value_types import Key, Name, ValuesSection


class SecretKey(ValuesSection, frozen=True, kw_only=True):
    """A reference to a secret: a Secret in the release's namespace, and a key in it."""

    existing_secret: Name
    key: Key


class KafkaUser(ValuesSection, frozen=True, kw_only=True):
    """The credentials of one process: ``username`` with ``password``, or ``certificate`` with ``privateKey``.

    For a token endpoint they are the client's id and secret.
    """

    username: str | UnsetType = UNSET
    password: SecretKey | UnsetType = UNSET
    certificate: SecretKey | UnsetType = UNSET
    private_key: SecretKey | UnsetType = UNSET


class CertificateAuthority(ValuesSection, frozen=True, kw_only=True):
    existing_secret: Name | UnsetType = UNSET
    key: Key | UnsetType = UNSET


class ServiceAccountToken(ValuesSection, frozen=True, kw_only=True):
    audience: Annotated[str, Meta(pattern=r"^\S*$")]
    # the least that Kubernetes allows
    expiration_seconds: Annotated[int, Meta(ge=600, le=86400)]


class KafkaAccess(ValuesSection, frozen=True, kw_only=True):
    ca: CertificateAuthority
    token_ca: CertificateAuthority
    service_account_token: ServiceAccountToken
    ingest: KafkaUser
    worker: KafkaUser
    topics: KafkaUser
    deliver: KafkaUser
    console: KafkaUser
    tools: KafkaUser
