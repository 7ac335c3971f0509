"""One HTTP exchange with a provider: bounded in time and size, without redirects, cookies or hidden repeats.

Every failure becomes an error of `schemas.errors` whose text is built from fixed words. Nothing the other side sent,
and no library's message (it may quote a URL with credentials), gets into it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import aiohttp
import httpx

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.call_times import CallTimes, begin
from paynotify.processors.providers.content_encoding import UNKNOWN, decoded, plain, too_long
from paynotify.processors.providers.json_body import readable_object
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import (
    ProviderUnavailableError,
    ProviderUnreachableError,
    RateLimitedError,
    SecretError,
)
from paynotify.service.forward_proxy import PROXY_SIGN_IN
from paynotify.service.outgoing_calls import USER_AGENT, retry_after_seconds

_MAX_RETRY_AFTER_SECONDS: Final = 24 * 3600.0


#: Sent with every call, unless it has its own.
_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Connection": "keep-alive",
    "User-Agent": USER_AGENT,
}


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)  # which takes longer than to make the whole request


def _request(method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> httpx.Request:
    """The request with all its headers: to work out the missing ones takes httpx twice the time."""
    address = _parsed(url)
    lines = [(b"Host", address.netloc)]
    lines += [(name.encode("ascii"), value.encode("ascii")) for name, value in {**_HEADERS, **headers}.items()]
    if content is not None:
        lines.append((b"Content-Length", b"%d" % len(content)))
    request = httpx.Request(method, address, headers=lines, stream=httpx.ByteStream(content or b""))
    request.read()
    return request


class _Received:
    """What has come of a response so far. ``problem`` is why no more of it comes."""

    __slots__ = ("body", "headers", "problem", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self.problem: ProviderUnavailableError | None = None


async def exchange(
    context: CallContext,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | None = None,
    keep_broken: bool = False,
) -> ProviderResponse:
    """Send one request and read the whole response, within ``timeout_seconds`` and ``max_response_bytes``.

    A refusal (4xx) counts whatever its body is: a body that is broken is left out. ``keep_broken`` is for a call that
    can't be repeated: the broken body of a success is returned as received, rather than lost.

    Raises:
        RateLimitedError: the status is 429; with the delay of ``Retry-After``.
        ProviderUnreachableError: no connection could be opened, also by the proxy, so nothing was sent.
        ProviderUnavailableError: the response was not complete in time, is too large or encoded in an unknown way, is
            a redirect or 5xx, or the connection broke.
    """
    times = begin(context)
    received = _Received()
    try:
        # the one limit of time: those of the transport for parts of an exchange would be no shorter
        async with asyncio.timeout(context.timeout_seconds):
            response = await context.http.handle_async_request(_request(method, url, headers, content))
            try:
                _refuse_outage(response, context.now)
                await _receive(received, response, context.max_response_bytes)
            finally:
                await response.aclose()
    except TimeoutError:
        received.problem = ProviderUnavailableError(f"no complete response within {context.timeout_seconds:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError) as error:
        # the cause, because the transport calls a connection that broke after the request a ConnectTimeout too
        if isinstance(error.__cause__, aiohttp.ClientConnectorError):
            raise ProviderUnreachableError(f"the exchange broke off ({type(error.__cause__).__name__})") from None
        if isinstance(error.__cause__, aiohttp.ClientHttpProxyError):
            raise ProviderUnreachableError(f"the proxy opens no connection (HTTP {error.__cause__.status})") from None
        received.problem = ProviderUnavailableError(f"the exchange broke off ({type(error).__name__})")
    finally:
        context.progress()
    if received.problem is not None and not received.status:
        raise received.problem
    return _judged(received, context, times(), keep_broken=keep_broken)


def _refuse_outage(response: httpx.Response, now: Callable[[], datetime]) -> None:
    status = response.status_code
    if 200 <= status < 300 or (400 <= status < 500 and status not in (PROXY_SIGN_IN, 429)):
        return
    if status == PROXY_SIGN_IN:
        raise ProviderUnreachableError("the proxy does not accept the credentials (HTTP 407)")
    asked_seconds = retry_after_seconds(response.headers.get("retry-after", ""), now(), _MAX_RETRY_AFTER_SECONDS)
    if status == 429:
        raise RateLimitedError("HTTP 429", retry_after_seconds=asked_seconds)
    raise ProviderUnavailableError(f"HTTP {status}", retry_after_seconds=asked_seconds)


async def _receive(received: _Received, response: httpx.Response, limit_bytes: int) -> None:
    received.status, received.headers = response.status_code, response.headers
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        received.body += chunk
        if len(received.body) > limit_bytes:
            del received.body[limit_bytes:]
            received.problem = too_long(limit_bytes)
            return


def _judged(received: _Received, context: CallContext, times: CallTimes, *, keep_broken: bool) -> ProviderResponse:
    encoding = plain(received.headers.get("content-encoding", "")).strip().lower()
    body, problem = decoded(bytes(received.body), encoding, context.max_response_bytes)
    problem = received.problem or problem
    success = received.status < 400
    if problem and success and not (keep_broken and received.body):
        raise problem
    if problem:
        body = bytes(received.body) if success else b""
    return ProviderResponse(
        body=body,
        content_type=plain(received.headers.get("content-type", "")),
        http_status=received.status,
        received_at=times.received_at,
        asked_at=times.asked_at,
        by_brokers=times.by_brokers,
        content_encoding=(encoding or UNKNOWN) if problem and success else "",
        complete=received.problem is None,
    )


def response_object(response: ProviderResponse) -> dict[str, Any]:
    """The JSON object in a response.

    Raises:
        ProviderUnavailableError: the body is HTML, nothing, null or a list, so it can't be the provider's own.
    """
    return readable_object(response.body, lambda problem: ProviderUnavailableError(f"the response {problem}"))


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
