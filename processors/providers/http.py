"""One HTTP exchange with a provider: bounded in time and size, without redirects, cookies or hidden repeats.

Whatever goes wrong becomes an error of `schemas.errors` whose text is made of closed words; nothing the other side
sent, and no library's message (it may quote an address with credentials), gets into it.
"""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import metadata
from typing import Any, Final

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from processors.providers.base import CallContext
from schemas.configuration.secrets import Secret
from schemas.errors import ProviderUnavailableError, ProviderUnreachableError, RateLimitedError, SecretError

_LONGEST_PATIENCE_SECONDS: Final = 24 * 3600.0
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


def _version() -> str:
    try:
        return metadata.version("paynotify")
    except metadata.PackageNotFoundError:
        return "0"


#: A plain ``name/version``: OmniKassa's firewall has blocked longer ones.
USER_AGENT: Final = f"paynotify/{_version()}"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete answer, decoded from its content encoding. ``status`` is 2xx or 4xx, never 429.

    What it says was true at some moment from ``asked_at`` to ``received_at``.
    """

    status: int
    content_type: str
    body: bytes
    received_at: datetime
    asked_at: datetime


def open_client(connections: int) -> httpx.AsyncClient:
    """The client for all providers' calls, with at most ``connections`` at once.

    aiohttp repeats a GET by itself when the connection breaks before the answer. An OmniKassa pull hands results
    over, so a repeat nobody sees could skip a page: it is switched off. Cookies would mix merchants' sessions.
    """

    def session() -> aiohttp.ClientSession:
        opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=httpx.create_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        opened._retry_connection = False  # aiohttp has no public switch; a contract test counts the calls
        return opened

    return client_over(AiohttpTransport(client=session))


def client_over(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """httpx as providers are called with it: no redirects, no cookies, no proxy of the environment's."""
    # httpx has a cookie jar of its own above aiohttp's
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(transport=transport, cookies=no_cookies, follow_redirects=False, trust_env=False)


async def exchange(
    outside: CallContext, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None
) -> HttpResponse:
    """Send one request and read the whole answer, within ``timeout_seconds`` and ``answer_bytes``.

    Raises:
        RateLimitedError: 429, with the patience asked for.
        ProviderUnreachableError: no connection could be opened, so nothing was sent.
        ProviderUnavailableError: no complete answer in time, too long, a redirect, 5xx, a connection that broke.
    """
    asked_at = outside.now()
    try:
        async with (
            asyncio.timeout(outside.timeout_seconds),
            outside.http.stream(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip", **headers},
                content=content,
                follow_redirects=False,
                timeout=outside.timeout_seconds,
            ) as response,
        ):
            _refuse_outage(response, outside.now())
            body = await _bounded_body(response, outside.answer_bytes)
    except TimeoutError:
        raise ProviderUnavailableError(f"no complete answer within {outside.timeout_seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, zlib.error, OSError) as error:
        # the cause, because the transport calls a connection that broke after the request a ConnectTimeout too
        if isinstance(error.__cause__, aiohttp.ClientConnectorError):
            raise ProviderUnreachableError(f"the exchange broke off ({type(error.__cause__).__name__})") from None
        raise ProviderUnavailableError(f"the exchange broke off ({type(error).__name__})") from None
    return HttpResponse(response.status_code, response.headers.get("content-type", ""), body, outside.now(), asked_at)


def _refuse_outage(response: httpx.Response, now: datetime) -> None:
    status = response.status_code
    patience_seconds = _patience_seconds(response.headers.get("retry-after", ""), now)
    if status == 429:
        raise RateLimitedError("HTTP 429", retry_after_seconds=patience_seconds)
    if not (200 <= status < 300 or 400 <= status < 500):
        raise ProviderUnavailableError(f"HTTP {status}", retry_after_seconds=patience_seconds)


async def _bounded_body(response: httpx.Response, limit_bytes: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity"):
        raise ProviderUnavailableError("the answer's content encoding is neither gzip nor identity")
    # the client's own decoder inflates a whole chunk at a time, a thousandfold for a hostile one
    inflate = zlib.decompressobj(_GZIP_WBITS) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk if inflate is None else inflate.decompress(chunk, limit_bytes + 1 - len(body))
        if len(body) > limit_bytes:
            raise ProviderUnavailableError(f"the answer is longer than {limit_bytes} bytes")
    if inflate is not None and not inflate.eof:
        raise ProviderUnavailableError("the answer's end is missing")
    return bytes(body)


def _patience_seconds(retry_after: str, now: datetime) -> float | None:
    """``Retry-After`` in seconds, given as a number or a date; none where it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), _LONGEST_PATIENCE_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _LONGEST_PATIENCE_SECONDS)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in an answer.

    Raises:
        ProviderUnavailableError: HTML, nothing, null, a list: not the provider's own voice.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ProviderUnavailableError("the answer is not JSON") from None
    if not isinstance(value, dict):
        raise ProviderUnavailableError("the answer is not a JSON object")
    return value


def basic_authorization(user: str, secret: Secret) -> str:
    """The ``Authorization`` header of HTTP Basic.

    Latin-1 where the credentials fit into it, as Trust Payments' own client sends them, else UTF-8.

    Raises:
        ProviderUnreachableError: the secret can't be read now, so nothing is sent. The call waits by itself: were the
            whole stage to wait, it would make the other merchants' calls again afterwards.
    """
    try:
        text = f"{user}:{secret.reveal()}"
    except SecretError as error:
        raise ProviderUnreachableError(str(error)) from None
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raw = text.encode()
    return "Basic " + base64.b64encode(raw).decode()
