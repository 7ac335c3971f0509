"""Why another's host was not reached, in words: aiohttp's errors tell it in their types and causes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import aiohttp

from paynotify.service.forward_proxy import PROXY_SIGN_IN

#: How proxies answer when the credentials are missing or, some of them, wrong.
_SIGN_IN: Final = (401, PROXY_SIGN_IN)


def connection_problem(host: str, error: BaseException) -> str:
    """What failed on the way to the host."""
    for cause in _causes(error):
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return proxy_refusal(cause.status)
        if isinstance(cause, aiohttp.ClientProxyConnectionError):
            return f"the proxy {cause.host} cannot be reached"
        # aiohttp's own error is one too, without the words
        if isinstance(cause, ssl.SSLCertVerificationError) and not isinstance(cause, aiohttp.ClientError):
            return f"{host} has an invalid certificate ({cause.verify_message})"
        if isinstance(cause, socket.gaierror):
            return f"the name {host} cannot be resolved"
    return f"{host} cannot be reached ({type(error.__cause__ or error).__name__})"


def proxy_refusal(status: int) -> str:
    """What a proxy means by a status of its own."""
    what = "does not accept the credentials" if status in _SIGN_IN else "opens no connection"
    return f"the proxy {what} (HTTP {status})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
