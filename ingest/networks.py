"""Networks of callers, and whether an address is in one of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

#: Answers that are remembered. Reading an address costs more than all other checks of a call's head.
_REMEMBERED: Final = 4096


class Networks:
    """Some networks in CIDR notation. ``address in networks`` takes an address as text."""

    __slots__ = ("_includes", "_networks")

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = tuple(ip_network(text) for text in texts)
        self._includes = lru_cache(_REMEMBERED)(self._search)

    def __contains__(self, address: str) -> bool:
        return self._includes(address)

    def _search(self, text: str) -> bool:
        address = parsed_address(text)
        return address is not None and any(address in network for network in self._networks)


@lru_cache(_REMEMBERED)
def address_in(text: str) -> str | None:
    """The address in a text that may have a port, as it is written elsewhere; None if it is no address."""
    text = text.strip(" \t")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = parsed_address(text)
    return None if address is None else str(address)


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address without a zone; that of an IPv4 caller on a socket for both as IPv4."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
