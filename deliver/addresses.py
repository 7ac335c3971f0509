"""Which addresses may be called: public ones, and those that the configuration allows.

A subscriber's name may lead anywhere, and elsewhere the next time it is looked up. So what is judged is the address
that a socket is about to be connected to, whatever the name was resolved to before.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

#: Networks of IPv6 whose addresses lead to the IPv4 address within them: the network, and the shift of those 32 bits.
_TRANSLATED: Final = (
    (ip_network("64:ff9b::/96"), 0),  # NAT64
    (ip_network("2002::/16"), 80),  # 6to4
    (ip_network("::/96"), 0),  # what IPv4-compatible addresses were
)

#: Networks that count as public and lead into somebody's own: a cloud's services for its machines, and the NAT64 of a
#: network's own, where the IPv4 address may stand anywhere.
_NOT_PUBLIC: Final = (ip_network("168.63.129.16/32"), ip_network("64:ff9b:1::/48"))

#: The addresses that were refused in the present call.
refused_addresses: Final[ContextVar[list[str]]] = ContextVar("refused_addresses")


class AddressRules:
    """Judges addresses. ``allowed`` are networks in CIDR notation."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = [ip_network(one) for one in allowed]

    def allows(self, text: str) -> bool:
        """Whether the address may be called."""
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        judged = _within(address) or address
        return _is_public(judged) or any(judged in network for network in self._allowed)

    def allows_host(self, host: str) -> bool:
        """Whether a host may be called that is an address already; True for a name, which is judged when resolved."""
        try:
            ip_address(host.strip("[]").partition("%")[0])
        except ValueError:
            return True
        return self.allows(host.strip("[]"))

    def socket_factory(self) -> Callable[[Any], socket.socket]:
        """What makes the sockets of aiohttp's connector; it refuses an address before anything is sent to it."""

        def make(information: Any) -> socket.socket:
            family, kind, protocol, _, target = information
            if not self.allows(str(target[0])):
                refused_addresses.get([]).append(str(target[0]))
                raise OSError("the address must not be called")
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            return made

        return make


def _within(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _TRANSLATED:
        if address in network and int(address) > 1:  # ::1 is the machine itself
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not special
