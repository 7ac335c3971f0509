"""Whether providers' calls can be read on their way: what ``paynotify doctor`` knows of the public URLs."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from paynotify.ops.doctor.finding import Finding
from paynotify.schemas.configuration.model import Configuration

_ABOUT: Final = "public URLs"
_SECONDS: Final = 5.0
_REMEDY: Final = "Have providers call https only: let the proxy terminate TLS, or set ingest.tls_certfile."
_PLAIN_PORT: Final = 80


def check_public_urls(configuration: Configuration, *, offline: bool) -> Iterator[Finding]:
    """A warning for each URL without TLS, and for each host that takes calls without TLS beside its https URL."""
    limits = configuration.ingest
    if not limits.public_urls:
        if limits.tls_certfile is None and not configuration.sandbox:
            yield Finding(
                _ABOUT,
                "skipped",
                "whether TLS is terminated in front of the ingress is not known",
                "Name the URLs that providers call in ingest.public_urls.",
            )
        return
    for url in limits.public_urls:
        parts = urlsplit(url)
        if parts.scheme != "https":
            yield Finding(
                _ABOUT, "warning", f"{url} has no TLS: signatures and tokens can be read on their way", _REMEDY
            )
        elif offline:
            yield Finding(_ABOUT, "ok", f"{url} is https")
        else:
            yield _beside(url, takes_plain_calls(parts.hostname or ""))


def _beside(url: str, plain: bool | None) -> Finding:
    host = urlsplit(url).hostname
    if plain is None:
        return Finding(_ABOUT, "ok", f"{url} is https; port {_PLAIN_PORT} can't be reached from here")
    if plain:
        return Finding(_ABOUT, "warning", f"{host} takes calls without TLS too, on port {_PLAIN_PORT}", _REMEDY)
    return Finding(_ABOUT, "ok", f"{url} is https, and {host} takes no calls without TLS")


def takes_plain_calls(host: str, port: int = _PLAIN_PORT) -> bool | None:
    """Whether the ingress answers a call without TLS; None if nobody does. A proxy's redirect is no such answer."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        # a path below /notifications/ that no merchant has: the ingress answers 404 with an empty body
        connection.request("POST", "/notifications/none/none", b"")
        response = connection.getresponse()
        return response.status == HTTPStatus.NOT_FOUND and response.getheader("content-length") == "0"
    except OSError:
        return None
    except http.client.HTTPException:
        return False
    finally:
        connection.close()
