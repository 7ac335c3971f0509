"""Whether a provider's host can be reached, and its clock: one HEAD of ``/``, which asks for nothing."""

from __future__ import annotations

import http.client
import socket
import ssl
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import ProviderUnavailableError

_CONNECT_SECONDS: Final = 5.0


def clock_of(url: str) -> datetime | None:
    """The clock of the provider at ``url``; None where it does not send its time.

    Raises:
        ProviderUnavailableError: the host cannot be resolved or reached, or its certificate is not valid.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, parts.port, timeout=_CONNECT_SECONDS)
    try:
        connection.request("HEAD", "/", headers={"User-Agent": "paynotify"})
        date = connection.getresponse().getheader("Date", "")
    except ssl.SSLCertVerificationError as error:
        raise ProviderUnavailableError(f"{host} has an invalid certificate ({error.verify_message})") from None
    except socket.gaierror:
        raise ProviderUnavailableError(f"the name {host} cannot be resolved") from None
    except (OSError, http.client.HTTPException) as error:
        raise ProviderUnavailableError(f"{host} cannot be reached ({type(error).__name__})") from None
    finally:
        connection.close()
    try:
        return parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
