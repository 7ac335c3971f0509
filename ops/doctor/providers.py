"""Checks one merchant's provider: connection, clock, and credentials if a call is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from paynotify.ops.doctor.clocks import compared, provider_skew
from paynotify.ops.doctor.finding import Finding
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.call_context import open_call_context
from paynotify.processors.providers.reachability import check_secrets, clock_of, needs_proxy
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.spec import CredentialProbe
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import (
    ConfigurationError,
    PermanentError,
    ProviderUnavailableError,
    RetryableError,
    SecretError,
)
from paynotify.schemas.times import utc_now

_ALLOW: Final = "Check the base URL, and DNS, firewall and proxy for outgoing connections from this host."


def examine(
    merchant: Merchant, account: Account[Any] | None, configuration: Configuration, *, recovery: bool
) -> Iterator[Finding]:
    """Check connection, clock and credentials. ``account`` is None if a secret cannot be read."""
    about = f"{provider_of(merchant)} for {merchant.id}"
    for url in merchant.base_urls().values():
        try:
            skew = provider_skew(partial(clock_of, url, configuration.worker), utc_now)
        except (ProviderUnavailableError, ConfigurationError) as error:
            yield Finding(about, "error", str(error), _ALLOW)
            return
        way = " through the proxy" if needs_proxy(url, configuration.worker) else ""
        yield Finding(about, "ok", f"{urlsplit(url).hostname} is reachable{way}")
        if skew is None:
            yield Finding(about, "skipped", "clock: the provider does not send its time")
        else:
            yield compared(about, "the provider's", skew)
    if account is None:
        yield Finding(about, "skipped", "credentials: a secret cannot be read")
        return
    probe = provider_specs()[provider_of(merchant)].probe
    skip_reason = probe.skip_reason(account, recovery=recovery)
    if skip_reason is not None:
        yield Finding(about, "skipped", f"credentials: {skip_reason}")
        return
    yield _credentials(about, probe, account, configuration)


def examine_outgoing(worker: WorkerSettings) -> Iterator[Finding]:
    """Check what all calls to providers need: the proxy's credentials, and the authorities."""
    if worker.provider_proxy is None and worker.provider_ca is None:
        return
    try:
        check_secrets(worker)
    except ConfigurationError as error:
        yield Finding("calls to providers", "error", str(error))
        return
    proxy = worker.provider_proxy
    through = "go out directly" if proxy is None else f"go through the proxy {urlsplit(proxy.url).netloc}"
    trusted = "" if worker.provider_ca is None else ", with authorities of your own"
    yield Finding("calls to providers", "ok", through + trusted)


def _credentials(about: str, probe: CredentialProbe, account: Account[Any], configuration: Configuration) -> Finding:
    async def check() -> bool:
        async with open_call_context(configuration.worker, 1) as calls:
            return await probe.accepted(account, calls)

    try:
        accepted = asyncio.run(check())
    except PermanentError as error:
        return Finding(about, "error", f"credentials: {error}", "Compare user, password and the allowed IP addresses.")
    except (RetryableError, SecretError) as error:
        return Finding(about, "warning", f"credentials: could not be checked ({error})", "Try again later.")
    if not accepted:
        return Finding(about, "error", "credentials: not accepted", "Compare them with the provider's portal.")
    return Finding(about, "ok", "credentials: accepted")
