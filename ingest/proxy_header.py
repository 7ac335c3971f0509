"""The header of the PROXY protocol, version 2: how a balancer that passes connections through says who called.

It comes before anything else on a connection, also before TLS.
"""

from __future__ import annotations

import socket
from typing import Final

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: The part with the signature, the command, the kind of addresses, and the length of what follows.
HEAD_BYTES: Final = 16
#: Addresses and what a balancer adds to them. It adds far less.
_MAX_REST_BYTES: Final = 4096

_LOCAL, _PROXY = 0x20, 0x21
#: Command and kind of addresses → the address family and its length. Others say nothing about an address.
_FAMILIES: Final = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}
_WITHOUT_ADDRESS: Final = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})
_PORTS_BYTES: Final = 4


class ProxyHeaderError(Exception):
    """A connection does not begin with such a header. It never leaves this package."""


def rest_bytes(head: bytes) -> int:
    """How many bytes follow the first `HEAD_BYTES`.

    Raises:
        ProxyHeaderError: it is no header of version 2, or a longer one than any balancer's.
    """
    if head[:12] != _SIGNATURE or head[12] not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("no header of version 2 of the PROXY protocol")
    length = int.from_bytes(head[14:16], "big")
    if length > _MAX_REST_BYTES:
        raise ProxyHeaderError(f"a header with {length} bytes")
    return length


def source(head: bytes, rest: bytes) -> str | None:
    """The caller's address; None if the proxy speaks for itself, as to check whether the ingress is there.

    Raises:
        ProxyHeaderError: the addresses can't be read.
    """
    if head[12] == _LOCAL or head[13] in _WITHOUT_ADDRESS:
        return None
    family, length = _FAMILIES.get(head[13], (None, 0))
    if family is None or len(rest) < 2 * length + _PORTS_BYTES:
        raise ProxyHeaderError("a header without readable addresses")
    return socket.inet_ntop(family, rest[:length])
