"""Whether a provider's host can be reached, and its clock: one HEAD of ``/``, which asks for nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import httpx

from paynotify.processors.providers.outgoing import open_transport
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import ProviderUnavailableError
from paynotify.service.connection_problem import connection_problem, proxy_refusal
from paynotify.service.forward_proxy import PROXY_SIGN_IN, goes_directly

_CONNECT_SECONDS: Final = 5.0


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
        raise ProviderUnavailableError(connection_problem(root.host, error)) from None
    if response.status_code == PROXY_SIGN_IN:
        raise ProviderUnavailableError(proxy_refusal(PROXY_SIGN_IN))
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
