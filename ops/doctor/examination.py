"""All checks of ``paynotify doctor`` in their order, each finding with the merchant that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from paynotify.ops.doctor.cluster_checks import check_cluster
from paynotify.ops.doctor.finding import Finding
from paynotify.ops.doctor.floods import check_rates
from paynotify.ops.doctor.ingress import check_certificate
from paynotify.ops.doctor.personal_fields import check_fields
from paynotify.ops.doctor.providers import examine, examine_outgoing
from paynotify.ops.doctor.public_urls import check_public_urls
from paynotify.ops.doctor.subscribers import check_subscribers
from paynotify.processors.providers.account import open_account
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import SecretError
from paynotify.schemas.providers import provider_names
from paynotify.service.value_cipher import cipher_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminationScope:
    """What is checked: of which providers (empty: of all, and subscribers too), without calls to anybody, with rare
    credentials too.

    ``as_worker``: by a process that has the workers' Kafka user and secrets. Another one can't tell what they may do.
    """

    providers: tuple[str, ...] = ()
    offline: bool = False
    recovery: bool = False
    as_worker: bool = True


@dataclass(frozen=True, slots=True)
class ScopedFinding:
    """A finding, and the merchant that it is about; None if it is about the installation."""

    finding: Finding
    merchant: str | None = None


def examined(configuration: Configuration, scope: ExaminationScope) -> Iterator[ScopedFinding]:
    """The findings, one after the other as they are found. Each check has a time limit of its own."""
    providers = scope.providers or provider_names()
    merchants = [one for one in configuration.merchants if provider_of(one) in providers]
    broken: set[str] = set()
    yield from map(ScopedFinding, _check_configuration(configuration, scope))
    for merchant in merchants:
        yield from (ScopedFinding(one, merchant.id) for one in check_fields(merchant))
        for finding in _check_secrets(merchant, scope):
            if finding.verdict != "ok":
                broken.add(merchant.id)
            yield ScopedFinding(finding, merchant.id)
    yield from map(ScopedFinding, examine_outgoing(configuration.worker))
    yield from map(ScopedFinding, _check_encryption(configuration))
    yield from map(ScopedFinding, check_rates(configuration))
    if not scope.providers:  # else this may be a pod of workers, which has no subscriber's secrets
        checked = check_subscribers(configuration, offline=scope.offline, has_secrets=scope.as_worker)
        yield from map(ScopedFinding, checked)
    if scope.offline:
        return
    yield from map(ScopedFinding, check_cluster(configuration, as_worker=scope.as_worker))
    for merchant in merchants:
        # a check with an unreadable secret would only repeat that error
        account = None if merchant.id in broken else open_account(merchant)
        for finding in examine(merchant, account, configuration, recovery=scope.recovery):
            yield ScopedFinding(finding, merchant.id)


def _check_configuration(configuration: Configuration, scope: ExaminationScope) -> Iterator[Finding]:
    if configuration.sandbox:
        yield Finding(
            "configuration",
            "warning",
            "sandbox: true allows plain HTTP and secrets in the file",
            "Remove it for production.",
        )
    yield from check_certificate(configuration.ingest, datetime.now(UTC))
    yield from check_public_urls(configuration, offline=scope.offline)


def _check_secrets(merchant: Merchant, scope: ExaminationScope) -> Iterator[Finding]:
    where = f"secrets of {merchant.id}"
    readable, unreadable = 0, 0
    for key, reference in merchant.secret_references():
        try:
            Secret(reference).reveal()
            readable += 1
        except SecretError as error:
            unreadable += 1
            if scope.as_worker:
                yield Finding(where, "error", f"{key}: {error}")
            else:
                yield Finding(where, "skipped", f"{key}: {error}", "A worker may have what this process has not.")
    if not unreadable:
        yield Finding(where, "ok", f"{readable} readable")
    problem = provider_specs()[provider_of(merchant)].probe.secret_problem(open_account(merchant, needed=()))
    if problem is not None:
        yield Finding(where, "error", problem)


def _check_encryption(configuration: Configuration) -> Iterator[Finding]:
    if configuration.encryption is None:
        return
    try:
        cipher = cipher_of(configuration)
    except SecretError as error:
        yield Finding("encryption", "error", str(error))
        return
    names = ", ".join(one.id for one in configuration.encryption.keys)
    yield Finding("encryption", "ok", f"keys {names}; new records are {'' if cipher.encrypts else 'not '}encrypted")
