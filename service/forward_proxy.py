"""Which hosts are called directly although there is a forward proxy, and how it is signed in to."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

#: A proxy's own answer to a call without encryption, which nobody behind it gives.
PROXY_SIGN_IN: Final = 407


def goes_directly(host: str, no_proxy: Sequence[str]) -> bool:
    """Whether calls to the host need no proxy: it is listed, of a listed domain, or within a listed network."""
    name = host.lower().rstrip(".")
    return any(_matches(name, entry.lower()) for entry in no_proxy)


def sign_in(credentials: str) -> Mapping[str, str] | None:
    """The header with the credentials; None if they are not USER:PASSWORD."""
    if ":" not in credentials:
        return None
    return {"Proxy-Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def _matches(name: str, entry: str) -> bool:
    if entry.startswith("."):
        return name.endswith(entry)
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry)
    except ValueError:
        return name == entry
