"""Which hosts and origins are the console's own.

A page elsewhere could have its name lead to the console (DNS rebinding), or send a form to it from a browser that is
signed in. So a request names one of the console's hosts, and one that changes something comes from its own pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

#: Methods that change nothing.
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class OwnOrigins:
    """This machine's own names, on any port (tunnels choose it), and the URLs under which others reach the console."""

    def __init__(self, public_urls: Iterable[str] = ()) -> None:
        self._public = {_without_default_port(one): one.partition("://")[0] for one in public_urls}

    def is_host(self, header: str) -> bool:
        """Whether a ``Host`` header names the console."""
        host = header.lower()
        return host in self._public or host_of(host) in _LOOPBACK

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request may not change anything; None if it comes from the console's own pages, or changes nothing."""
        if method in SAFE_METHODS:
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin"):
            return "another site sent it"
        if origin is None and site is None:
            return "it does not say which page sent it"
        if origin is not None and not self._is_own(origin.lower(), headers.get("host", "").lower()):
            return "another origin sent it"
        return None

    def base_url(self, scheme: str, host: str) -> str:
        """The URL under which this request's browser reaches the console."""
        host = host.lower()
        return f"{self._public.get(host, scheme)}://{host}"

    def _is_own(self, origin: str, host: str) -> bool:
        public = self._public.get(host)
        if public is not None:
            return _without_default_port(origin) == host and urlsplit(origin).scheme == public
        return urlsplit(origin).netloc == host


def host_of(header: str) -> str:
    """The host of a ``Host`` header, without its port."""
    host, colon, port = header.rpartition(":")
    return (host if colon and port.isdigit() else header).lower()


def _without_default_port(url: str) -> str:
    parts = urlsplit(url.lower())
    return parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
