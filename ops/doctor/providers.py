"""Checks one merchant's provider: connection, clock, and credentials if a call is harmless."""

from __future__ import annotations

import asyncio
import http.client
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ops.doctor.finding import Finding
from processors.limits.call_pacer import CallPacer
from processors.providers.base import Account, Answer, Call, CallContext, RetryLater, WaitingLookup
from processors.providers.http import open_client
from processors.providers.omnikassa.single_order import refreshed
from processors.providers.registry import PROVIDERS
from schemas.configuration.merchants import Merchant, OmniKassaMerchant, provider_of
from schemas.configuration.model import Configuration
from schemas.errors import PermanentError, RetryableError, SecretError
from schemas.messages import Lookup
from schemas.times import rfc3339

_CONNECT_SECONDS: Final = 5.0
_WARN_SKEW_SECONDS: Final = 5.0
_MAX_SKEW_SECONDS: Final = 60.0

_ALLOW: Final = "Check the base URL, and DNS, firewall and proxy for outgoing connections from this host."


def examine(
    merchant: Merchant, account: Account | None, configuration: Configuration, *, recovery: bool
) -> Iterator[Finding]:
    """Check connection, clock and credentials. ``account`` is None if a secret cannot be read."""
    about = f"{provider_of(merchant)} for {merchant.id}"
    found = _connect(merchant.base_url)
    if isinstance(found, str):
        yield Finding(about, "error", found, _ALLOW)
        return
    yield Finding(about, "ok", f"{urlsplit(merchant.base_url).hostname} is reachable")
    yield _clock(about, found)
    if account is None:
        yield Finding(about, "skipped", "credentials: a secret cannot be read")
        return
    yield _credentials(about, account, configuration, recovery)


def _connect(url: str) -> datetime | str | None:
    """The provider's time (None if it sends none), or a problem as text. ``HEAD /`` has no side effects."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, parts.port, timeout=_CONNECT_SECONDS)
    try:
        connection.request("HEAD", "/", headers={"User-Agent": "paynotify"})
        date = connection.getresponse().getheader("Date", "")
    except ssl.SSLCertVerificationError as error:
        return f"{host} has an invalid certificate ({error.verify_message})"
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except (OSError, http.client.HTTPException) as error:
        return f"{host} cannot be reached ({type(error).__name__})"
    finally:
        connection.close()
    try:
        return parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None


def _clock(about: str, theirs: datetime | None) -> Finding:
    if theirs is None or theirs.tzinfo is None:
        return Finding(about, "skipped", "clock: the provider does not send its time")
    skew_seconds = (datetime.now(UTC) - theirs).total_seconds()
    text = f"clock: {abs(skew_seconds):.0f} s {'ahead of' if skew_seconds > 0 else 'behind'} the provider's"
    if abs(skew_seconds) <= _WARN_SKEW_SECONDS:
        return Finding(about, "ok", "clock: the same as the provider's")
    verdict: Any = "error" if abs(skew_seconds) > _MAX_SKEW_SECONDS else "warning"
    return Finding(
        about, verdict, text, "Synchronise this host's clock (chrony, systemd): the expiry of tokens depends on it."
    )


def _credentials(about: str, account: Account, configuration: Configuration, recovery: bool) -> Finding:
    if provider_of(account.merchant) == "nevogate":
        return Finding(about, "skipped", "credentials: the gateway does not allow a query that no notification caused")
    if isinstance(account.merchant, OmniKassaMerchant):
        if not recovery:
            return Finding(about, "skipped", "credentials: pass --recovery to check them with one token refresh")
        if account.merchant.refresh_token is None:
            return Finding(about, "skipped", "credentials: no refresh_token is configured")
        return _ask(about, configuration, lambda outside: _refresh(account, outside))
    return _ask(about, configuration, lambda outside: _query(account, outside))


def _ask(
    about: str, configuration: Configuration, question: Callable[[CallContext], Coroutine[Any, Any, bool]]
) -> Finding:
    async def ask() -> bool:
        async with open_client(1) as client:
            worker = configuration.worker
            return await question(
                CallContext(
                    http=client,
                    now=lambda: datetime.now(UTC),
                    answer_bytes=worker.provider_response_bytes,
                    timeout_seconds=worker.provider_timeout_seconds,
                    transactions_per_query=1,
                    pace=CallPacer(1),
                )
            )

    try:
        accepted = asyncio.run(ask())
    except PermanentError as error:
        return Finding(about, "error", f"credentials: {error}", "Compare user, password and the allowed IP addresses.")
    except (RetryableError, SecretError) as error:
        return Finding(about, "warning", f"credentials: could not be checked ({error})", "Try again later.")
    if not accepted:
        return Finding(about, "error", "credentials: not accepted", "Compare them with the provider's portal.")
    return Finding(about, "ok", "credentials: accepted")


async def _query(account: Account, outside: CallContext) -> bool:
    """Query an order that does not exist: an empty response proves that the credentials were accepted."""
    now = rfc3339()
    lookup = Lookup(
        provider="trustpayments",
        merchant=account.merchant.id,
        operation="transaction",
        reference=None,
        notification_id="doctor",
        received_at=now,
        arguments={"orderreference": f"paynotify-doctor-{secrets.token_hex(8)}"},
    )
    waiting = WaitingLookup("doctor", lookup, "", 0, datetime.now(UTC))

    async def store(_: Answer) -> None:
        return None

    outcomes = await PROVIDERS["trustpayments"].fetch(Call("doctor", (waiting,)), account, outside, store)
    outcome = outcomes["doctor"]
    return not isinstance(outcome, RetryLater) or outcome.reason == "not_found"


async def _refresh(account: Account, outside: CallContext) -> bool:
    """Refresh the bank's token, and discard it."""
    assert isinstance(account.merchant, OmniKassaMerchant)
    await refreshed(account, account.merchant, outside)
    return True
