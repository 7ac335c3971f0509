"""One HTTP exchange with a provider: bounded in time and size, without redirects, cookies or hidden repeats.

Every failure becomes an error of `schemas.errors` whose text is built from fixed words. Nothing the other side sent,
and no library's message (it may quote a URL with credentials), gets into it.
"""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import metadata
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from processors.providers.account import Account
from processors.providers.base import CallContext, ProviderResponse
from processors.providers.json_body import json_object
from schemas.configuration.merchants import Merchant
from schemas.configuration.secrets import SecretRef
from schemas.errors import ProviderUnavailableError, ProviderUnreachableError, RateLimitedError, SecretError
from service.private_names import PrivateName, require

_MAX_RETRY_AFTER_SECONDS: Final = 24 * 3600.0
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


def _version() -> str:
    try:
        return metadata.version("paynotify")
    except metadata.PackageNotFoundError:
        return "0"


#: A plain ``name/version``: OmniKassa's firewall has blocked longer ones.
USER_AGENT: Final = f"paynotify/{_version()}"


#: aiohttp has no public switch for its repeats (https://github.com/aio-libs/aiohttp/issues/10790).
_PRIVATE_NAMES: Final = (PrivateName("aiohttp", "aiohttp.client", "ClientSession._request", ("_retry_connection",)),)


def open_client(connections: int) -> httpx.AsyncClient:
    """The client for all providers' calls, with at most ``connections`` at once.

    aiohttp repeats a GET by itself when the connection breaks before the response. An OmniKassa pull hands results
    over, so a repeat nobody sees could skip a page: it is switched off. Cookies would mix merchants' sessions.

    Raises:
        UnsupportedLibraryError: the installed aiohttp has no switch for its repeats.
    """
    require(_PRIVATE_NAMES)

    def session() -> aiohttp.ClientSession:
        opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=httpx.create_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        opened._retry_connection = False  # a contract test counts the calls
        return opened

    return client_over(AiohttpTransport(client=session))


def client_over(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """httpx as providers are called with it: no redirects, no cookies, no proxy of the environment's."""
    # httpx has a cookie jar of its own above aiohttp's
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(transport=transport, cookies=no_cookies, follow_redirects=False, trust_env=False)


async def exchange(
    context: CallContext, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
) -> ProviderResponse:
    """Send one request and read the whole response, within ``timeout_seconds`` and ``max_response_bytes``.

    Raises:
        RateLimitedError: the status is 429; with the delay of ``Retry-After``.
        ProviderUnreachableError: no connection could be opened, so nothing was sent.
        ProviderUnavailableError: the response was not complete in time, is too large, is a redirect or 5xx, or the
            connection broke.
    """
    asked_at = context.now()
    try:
        async with (
            asyncio.timeout(context.timeout_seconds),
            context.http.stream(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip", **headers},
                content=content,
                follow_redirects=False,
                timeout=context.timeout_seconds,
            ) as response,
        ):
            _refuse_outage(response, context.now())
            body = await _bounded_body(response, context.max_response_bytes)
    except TimeoutError:
        raise ProviderUnavailableError(f"no complete response within {context.timeout_seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, zlib.error, OSError) as error:
        # the cause, because the transport calls a connection that broke after the request a ConnectTimeout too
        if isinstance(error.__cause__, aiohttp.ClientConnectorError):
            raise ProviderUnreachableError(f"the exchange broke off ({type(error.__cause__).__name__})") from None
        raise ProviderUnavailableError(f"the exchange broke off ({type(error).__name__})") from None
    return ProviderResponse(
        body=body,
        content_type=response.headers.get("content-type", ""),
        http_status=response.status_code,
        received_at=context.now(),
        asked_at=asked_at,
    )


def _refuse_outage(response: httpx.Response, now: datetime) -> None:
    status = response.status_code
    retry_after_seconds = _retry_after_seconds(response.headers.get("retry-after", ""), now)
    if status == 429:
        raise RateLimitedError("HTTP 429", retry_after_seconds=retry_after_seconds)
    if not (200 <= status < 300 or 400 <= status < 500):
        raise ProviderUnavailableError(f"HTTP {status}", retry_after_seconds=retry_after_seconds)


async def _bounded_body(response: httpx.Response, limit_bytes: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise ProviderUnavailableError("the response's content encoding is neither gzip nor identity")
    # the client's own decoder inflates a whole chunk at a time, a thousandfold for a hostile one
    inflate = zlib.decompressobj(_GZIP_WBITS) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk if inflate is None else inflate.decompress(chunk, limit_bytes + 1 - len(body))
        if len(body) > limit_bytes:
            raise ProviderUnavailableError(f"the response is longer than {limit_bytes} bytes")
    if inflate is not None and not inflate.eof:
        raise ProviderUnavailableError("the response's end is missing")
    return bytes(body)


def _retry_after_seconds(retry_after: str, now: datetime) -> float | None:
    """``Retry-After`` in seconds, from a number or a date; None where it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _MAX_RETRY_AFTER_SECONDS)


def response_object(response: ProviderResponse) -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        ProviderUnavailableError: the body is HTML, nothing, null or a list, so it can't be the provider's own.
    """
    return json_object(response.body, lambda problem: ProviderUnavailableError(f"the response {problem}"))


def basic_authorization(user: str, account: Account[Merchant], secret: SecretRef) -> str:
    """The ``Authorization`` header of HTTP Basic with the account's secret as the password.

    Latin-1 where the credentials fit into it, as Trust Payments' own client sends them, else UTF-8.

    Raises:
        ProviderUnreachableError: the secret can't be read now, so nothing is sent. Only this call is retried later:
            were the whole stage to wait, it would repeat the other merchants' calls afterwards.
    """
    try:
        text = f"{user}:{account.reveal(secret)}"
    except SecretError as error:
        raise ProviderUnreachableError(str(error)) from None
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raw = text.encode()
    return "Basic " + base64.b64encode(raw).decode()
