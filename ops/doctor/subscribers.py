"""What ``paynotify doctor`` finds out about the subscribers of outbound webhooks: secrets, TLS, and the way to each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from paynotify.deliver.caller import SubscriberCaller, proxy_headers
from paynotify.deliver.signature import Signer
from paynotify.deliver.trust import Trust
from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError, SecretError
from paynotify.schemas.times import utc_now

_CALLS: Final = "calls to subscribers"
_ALLOW: Final = (
    "Check the URL, and DNS, firewall and proxy for outgoing connections from this host; "
    "a private network is allowed by deliver.private_networks."
)


def check_subscribers(configuration: Configuration, *, offline: bool, has_secrets: bool = True) -> Iterator[Finding]:
    """Check what all calls need, then each subscriber; nothing where there are none.

    Without ``has_secrets`` it is another process, which can't tell whether a secret that it lacks is readable there.
    """
    settings = configuration.deliver
    if not settings.subscriptions:
        return
    trust = None
    try:
        trust = Trust(settings.ca)
        yield from _outgoing(settings)
    except ConfigurationError as error:
        yield Finding(_CALLS, "error" if has_secrets else "skipped", str(error))
        trust = None
    for one in settings.subscriptions:
        yield from _check_secrets(one, has_secrets)
        if urlsplit(one.url).scheme != "https":
            yield Finding(_about(one), "warning", "its URL has no TLS: events can be read on their way", "Use https.")
    if offline:
        return
    if trust is None:
        yield Finding(_CALLS, "skipped", "whether subscribers can be reached: the above has to be right first")
        return
    callers = [SubscriberCaller(one, settings, trust) for one in settings.subscriptions]
    problems = asyncio.run(_problems(callers))
    for one, caller, problem in zip(settings.subscriptions, callers, problems, strict=True):
        way = "" if caller.is_direct else " through the proxy"
        if problem is None:
            yield Finding(_about(one), "ok", f"{urlsplit(one.url).hostname} is reachable{way}")
        else:
            yield Finding(_about(one), "error", problem, _ALLOW)


def _about(subscription: Subscription) -> str:
    return f"subscriber {subscription.id}"


def _outgoing(settings: DeliverSettings) -> Iterator[Finding]:
    """What the calls go through and trust.

    Raises:
        SecretError: the proxy's credentials can't be read, or are not USER:PASSWORD.
    """
    proxy = settings.proxy
    if proxy is not None and proxy.credentials is not None:
        proxy_headers(Secret(proxy.credentials))
    if proxy is None and settings.ca is None:
        return
    through = "go out directly" if proxy is None else f"go through the proxy {urlsplit(proxy.url).netloc}"
    yield Finding(_CALLS, "ok", through + ("" if settings.ca is None else ", with authorities of your own"))


def _check_secrets(subscription: Subscription, has_secrets: bool) -> Iterator[Finding]:
    """Each must be of use: `deliver` signs with those it can read, and a subscriber may know only another one."""
    unusable = 0
    for number, reference in enumerate(subscription.secrets):
        try:
            Signer((reference,)).headers("doctor", b"{}", utc_now())
        except SecretError as error:
            unusable += 1
            verdict: Literal["error", "skipped"] = "error" if has_secrets else "skipped"
            yield Finding(_about(subscription), verdict, f"secrets[{number}]: {error}")
    if not unusable:
        yield Finding(_about(subscription), "ok", f"secrets: {len(subscription.secrets)} of use")


async def _problems(callers: Sequence[SubscriberCaller]) -> Sequence[str | None]:
    """Why each of them can't be reached; all are asked at once, as those that can't let one wait for seconds."""
    try:
        return await asyncio.gather(*(one.problem() for one in callers))
    finally:
        for one in callers:
            await one.close()
        await asyncio.sleep(0)  # connections are closed in the loop's next turn, and this loop ends here
