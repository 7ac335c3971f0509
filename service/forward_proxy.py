"""Which hosts are called directly although there is a forward proxy."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def goes_directly(host: str, no_proxy: Sequence[str]) -> bool:
    """Whether calls to the host need no proxy: it is listed, of a listed domain, or within a listed network."""
    name = host.lower().rstrip(".")
    return any(_matches(name, entry.lower()) for entry in no_proxy)


def _matches(name: str, entry: str) -> bool:
    if entry.startswith("."):
        return name.endswith(entry)
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry)
    except ValueError:
        return name == entry
