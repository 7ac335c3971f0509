"""One HTTP call to a subscriber: bounded in time and size, to allowed addresses only, without redirects or cookies.

Nothing that the subscriber sends gets into an error, a log or a record: its answer becomes a word of a closed list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from paynotify.deliver.addresses import AddressRules, refused_addresses
from paynotify.deliver.answer import SubscriberAnswer, judge
from paynotify.deliver.result_event import ResultEvent
from paynotify.deliver.signature import Signer
from paynotify.deliver.trust import Trust
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError, SecretError
from paynotify.schemas.times import utc_now
from paynotify.service.connection_problem import connection_problem, proxy_refusal
from paynotify.service.forward_proxy import PROXY_SIGN_IN, goes_directly, sign_in
from paynotify.service.outgoing_calls import USER_AGENT

#: How long a name's addresses are used before it is looked up again.
_NAMES_SECONDS: Final = 10
_MAX_HEADER_BYTES: Final = 8190
_REACH_SECONDS: Final = 5.0

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": USER_AGENT,
}


class SubscriberCaller:
    """Calls one subscriber through connections of its own, so that no other subscriber can use them up.

    ``is_direct``: not through the proxy.
    """

    def __init__(
        self,
        subscription: Subscription,
        settings: DeliverSettings,
        trust: Trust,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._subscription = subscription
        self._settings = settings
        self._now = now
        self._signer = Signer(subscription.secrets)
        self._rules = AddressRules(settings.private_networks)
        parts = urlsplit(subscription.url)
        self._host = parts.hostname or ""
        self._is_plain = parts.scheme == "http"
        self._root = f"{parts.scheme}://{parts.netloc}/"
        proxy = settings.proxy
        self.is_direct: Final = proxy is None or goes_directly(self._host, proxy.no_proxy)
        self._credentials = None if proxy is None or proxy.credentials is None else Secret(proxy.credentials)
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def call(self, event: ResultEvent) -> SubscriberAnswer:
        """Call the subscriber with the event. Every failure is an answer with its reason."""
        refused: list[str] = []
        refused_addresses.set(refused)
        if not self._rules.allows_host(self._host):
            return SubscriberAnswer("forbidden_address", is_outage=True)
        body = event.body()
        try:
            self._trust.refresh()
            headers = {**_HEADERS, **self._signer.headers(event.event_id, body, self._now())}
            options = self._proxy_options()
            if self._is_plain:  # without a tunnel the proxy reads the call itself
                headers |= options.get("proxy_headers", {})
        except ConfigurationError:
            return SubscriberAnswer("no_secret", is_outage=True)
        received: list[SubscriberAnswer] = []
        try:
            # the one limit of time; the library's own are for parts of a call
            async with asyncio.timeout(self._settings.timeout_seconds):
                await self._exchange(body, headers, options, received.append)
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL):
            return SubscriberAnswer("forbidden_address" if refused else "unreachable", is_outage=True)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            # once the status is there the subscriber has said what it has to say, however its body ends
            return received[0] if received else SubscriberAnswer("no_answer", is_outage=True)
        return received[0]

    async def problem(self) -> str | None:
        """Why the subscriber can't be reached; None if it can.

        One HEAD of ``/`` goes the way that calls go. It delivers nothing, and any answer will do.

        Raises:
            ConfigurationError: the authorities or the proxy's credentials can't be read or used.
        """
        refused: list[str] = []
        refused_addresses.set(refused)
        if not self._rules.allows_host(self._host):
            return _forbidden(self._host)
        self._trust.refresh()
        options = self._proxy_options()
        headers = {"User-Agent": USER_AGENT, **(options.get("proxy_headers", {}) if self._is_plain else {})}
        try:
            async with (
                asyncio.timeout(min(self._settings.timeout_seconds, _REACH_SECONDS)),
                self._opened().head(self._root, headers=headers, allow_redirects=False, **options) as response,
            ):
                is_refused = response.status == PROXY_SIGN_IN and not self.is_direct
                return proxy_refusal(PROXY_SIGN_IN) if is_refused else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _forbidden(*refused) if refused else connection_problem(self._host, error)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self,
        body: bytes,
        headers: Mapping[str, str],
        options: Mapping[str, Any],
        answered: Callable[[SubscriberAnswer], None],
    ) -> None:
        """Report the answer as soon as its status is there; read a short body, so that the connection is kept."""
        posted = self._opened().post(
            self._subscription.url, data=body, headers=headers, allow_redirects=False, **options
        )
        async with posted as response:
            retry_after = response.headers.get("Retry-After", "")
            answered(judge(response.status, retry_after, self._now(), self._settings.max_pause_seconds))
            left_bytes = self._settings.max_answer_bytes
            async for chunk in response.content.iter_any():
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    response.close()
                    return

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._subscription.calls_in_flight,
                ssl=self._trust.context,
                ttl_dns_cache=_NAMES_SECONDS,
                # a proxy's own address is the operator's word
                socket_factory=self._rules.socket_factory() if self.is_direct else None,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                auto_decompress=False,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session

    def _proxy_options(self) -> dict[str, Any]:
        """The proxy with its present credentials.

        Raises:
            SecretError: the credentials can't be read, or are not USER:PASSWORD.
        """
        proxy = self._settings.proxy
        if proxy is None or self.is_direct:
            return {}
        if self._credentials is None:
            return {"proxy": proxy.url}
        return {"proxy": proxy.url, "proxy_headers": proxy_headers(self._credentials)}


def proxy_headers(credentials: Secret) -> Mapping[str, str]:
    """What the proxy is sent to sign in to it.

    Raises:
        SecretError: the credentials can't be read, or are not USER:PASSWORD.
    """
    headers = sign_in(credentials.reveal())
    if headers is None:
        raise SecretError(f"deliver.proxy.credentials {credentials.reference!r} is not USER:PASSWORD.")
    return headers


def _forbidden(*addresses: str) -> str:
    return f"{' and '.join(dict.fromkeys(addresses))} must not be called: it is no public address"
