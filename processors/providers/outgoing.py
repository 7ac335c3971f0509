"""The transport of all calls to providers: directly, or through a forward proxy, and whom it trusts.

The calls go to the transport itself: redirects, cookies, proxies of the environment and hidden repeats belong to
httpx's client above it, which would take twice the time of all the rest of a call. aiohttp repeats a GET by itself when
the connection breaks before the response. An OmniKassa pull hands results over, so a repeat nobody sees could skip a
page: it is switched off. Its cookies, which would mix merchants' sessions, are too.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
import httpx

from paynotify.processors.providers.http_transport import ProviderTransport
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.configuration.worker import ProviderProxySettings
from paynotify.schemas.errors import ConfigurationError
from paynotify.service.forward_proxy import goes_directly, sign_in
from paynotify.service.logs import event
from paynotify.service.private_names import PrivateName, require

logger = logging.getLogger("paynotify.outgoing")

#: aiohttp has no public switch for its repeats (https://github.com/aio-libs/aiohttp/issues/10790).
_PRIVATE_NAMES: Final = (PrivateName("aiohttp", "aiohttp.client", "ClientSession._request", ("_retry_connection",)),)


def open_transport(
    connections: int, proxy: ProviderProxySettings | None = None, authorities: SecretRef | None = None
) -> httpx.AsyncBaseTransport:
    """The httpx transport of all providers' calls, with at most ``connections`` at once each way.

    ``authorities`` are trusted beside the system's.

    Raises:
        UnsupportedLibraryError: the installed aiohttp has no switch for its repeats.
        ConfigurationError: the authorities or the proxy's credentials can't be read, or are of no use.
    """
    require(_PRIVATE_NAMES)
    if proxy is None and authorities is None:
        return _direct(connections)
    return RoutedTransport(connections, proxy, authorities)


def _direct(connections: int) -> ProviderTransport:
    def session() -> aiohttp.ClientSession:
        opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=transport.ssl_context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # none: `exchange` has the one limit of time
        )
        opened._retry_connection = False  # a contract test counts the calls
        return opened

    transport = ProviderTransport(client=session)
    return transport


class RoutedTransport(httpx.AsyncBaseTransport):
    """Sends each call through the proxy, or directly to the hosts that need none. Changed secrets are read again."""

    def __init__(
        self, connections: int, proxy: ProviderProxySettings | None, authorities: SecretRef | None = None
    ) -> None:
        self._straight = _direct(connections)
        self._through = _direct(connections)
        self._through.ssl_context = self._straight.ssl_context
        self._authorities = None if authorities is None else Secret(authorities)
        self._trusted = ""
        self._settings = proxy
        self._credentials = None if proxy is None or proxy.credentials is None else Secret(proxy.credentials)
        self._signed_in_as: str | None = None
        self._asked: Mapping[str, str] = {}
        self._trust()
        self._sign_in()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._trust()
        if self._settings is None or goes_directly(request.url.host, self._settings.no_proxy):
            return await self._straight.handle_async_request(request)
        self._sign_in()
        if request.url.scheme == "http":  # without a tunnel the proxy reads the request itself
            request.headers.update(self._asked)
        return await self._through.handle_async_request(request)

    async def aclose(self) -> None:
        await self._straight.aclose()
        await self._through.aclose()

    def _trust(self) -> None:
        """Trust the present authorities in new connections. Those of before are trusted until the process ends."""
        if self._authorities is None or (text := self._authorities.reveal()) == self._trusted:
            return
        try:
            self._straight.ssl_context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError):
            problem = f"worker.provider_ca {self._authorities.reference!r} holds no usable PEM certificates"
            if not self._trusted:
                raise ConfigurationError(f"{problem}. Write the authorities' certificates into it.") from None
            event(logger, "changed_authorities_rejected", level=logging.WARNING, problem=problem)
        self._trusted = text

    def _sign_in(self) -> None:
        """Use the proxy's present credentials."""
        if self._settings is None:
            return
        text = "" if self._credentials is None else self._credentials.reveal()
        if text == self._signed_in_as:
            return
        asked = sign_in(text) if text else {}
        if asked is not None:
            self._asked = asked
            # not as the proxy's `auth`, for which the transport uses what aiohttp is about to remove
            self._through.proxy = httpx.Proxy(self._settings.url, headers=self._asked)
        else:
            problem = f"worker.provider_proxy.credentials {self._settings.credentials!r} is not USER:PASSWORD"
            if self._signed_in_as is None:
                raise ConfigurationError(f"{problem}. Write both into it, with a colon between them.")
            event(logger, "changed_proxy_credentials_rejected", level=logging.WARNING, problem=problem)
        self._signed_in_as = text
