"""Whether a provider's host can be reached, and its clock: one HEAD of ``/``, which asks for nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import httpx

from paynotify.processors.providers.http import PROXY_SIGN_IN
from paynotify.processors.providers.outgoing import open_transport
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import ProviderUnavailableError
from paynotify.service.forward_proxy import goes_directly

_CONNECT_SECONDS: Final = 5.0
#: How proxies answer when the credentials are missing or, some of them, wrong.
_SIGN_IN: Final = (401, PROXY_SIGN_IN)


def check_secrets(worker: WorkerSettings) -> None:
    """Read what all calls need: the authorities, and the proxy's credentials.

    Raises:
        ConfigurationError: one of them can't be read or used.
    """
    open_transport(1, worker.provider_proxy, worker.provider_ca)


def needs_proxy(url: str, worker: WorkerSettings) -> bool:
    """Whether calls to the URL go through the proxy."""
    proxy = worker.provider_proxy
    return proxy is not None and not goes_directly(httpx.URL(url).host, proxy.no_proxy)


def clock_of(url: str, worker: WorkerSettings) -> datetime | None:
    """The clock of the provider at ``url``, asked as workers ask it; None where it does not send its time.

    Raises:
        ProviderUnavailableError: the host or the proxy cannot be resolved or reached, the proxy opens no connection, or
            a certificate is not valid.
        ConfigurationError: the authorities or the proxy's credentials can't be used.
    """
    return asyncio.run(_clock_of(httpx.URL(url).copy_with(path="/", query=None), worker))


async def _clock_of(root: httpx.URL, worker: WorkerSettings) -> datetime | None:
    request = httpx.Request("HEAD", root, headers={"User-Agent": "paynotify"})
    try:
        async with open_transport(1, worker.provider_proxy, worker.provider_ca) as http:
            async with asyncio.timeout(_CONNECT_SECONDS):
                response = await http.handle_async_request(request)
                await response.aclose()
    except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
        await asyncio.sleep(0)  # a connection is closed in the loop's next turn, and this loop ends here
        raise ProviderUnavailableError(_problem(root.host, error)) from None
    if response.status_code == PROXY_SIGN_IN:
        raise ProviderUnavailableError(_refusal(PROXY_SIGN_IN))
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError):
        return None


def _problem(host: str, error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return _refusal(cause.status)
        if isinstance(cause, aiohttp.ClientProxyConnectionError):
            return f"the proxy {cause.host} cannot be reached"
        # aiohttp's own error is one too, without the words
        if isinstance(cause, ssl.SSLCertVerificationError) and not isinstance(cause, aiohttp.ClientError):
            return f"{host} has an invalid certificate ({cause.verify_message})"
        if isinstance(cause, socket.gaierror):
            return f"the name {host} cannot be resolved"
    return f"{host} cannot be reached ({type(error.__cause__ or error).__name__})"


def _refusal(status: int) -> str:
    what = "does not accept the credentials" if status in _SIGN_IN else "opens no connection"
    return f"the proxy {what} (HTTP {status})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
