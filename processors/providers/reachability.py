"""Whether a provider's host can be reached, and its clock: one HEAD of ``/``, which asks for nothing."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from schemas.errors import ProviderUnavailableError

_CONNECT_SECONDS: Final = 5.0


def clock_of(url: str) -> datetime | None:
    """The clock of the provider at ``url``; None where it does not send its time.

    Raises:
        ProviderUnavailableError: the host cannot be resolved or reached, or its certificate is not valid.
    """
    root = httpx.URL(url).copy_with(path="/", query=None)
    try:
        with httpx.Client(timeout=_CONNECT_SECONDS, trust_env=False) as client:
            date = client.head(root, headers={"User-Agent": "paynotify"}).headers.get("Date", "")
    except httpx.HTTPError as error:
        raise ProviderUnavailableError(_problem(root.host, error)) from None
    try:
        return parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None


def _problem(host: str, error: httpx.HTTPError) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{host} has an invalid certificate ({cause.verify_message})"
        if isinstance(cause, socket.gaierror):
            return f"the name {host} cannot be resolved"
    return f"{host} cannot be reached ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
