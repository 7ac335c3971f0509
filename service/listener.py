"""The sockets that both processes listen on: where nothing else is said, on all addresses, IPv6 and IPv4.

A cluster may have only one of the two, and a pod cannot know which. One socket for both needs no setting for it.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from paynotify.schemas.errors import ConfigurationError

#: How the address of an IPv4 caller begins on a socket for both.
_IPV4_MAPPED: Final = "::ffff:"


def split_address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` as host and port; an empty host means all addresses.

    Raises:
        ConfigurationError: the text is not HOST:PORT.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigurationError(
            f"{text!r} is not an address. Give HOST:PORT, for example 127.0.0.1:9090, or :9090 for all addresses."
        )
    return host.strip("[]"), int(port)


def bound_socket(address: str) -> socket.socket:
    """A socket bound to the address, which does not listen yet.

    Without a host it is for IPv6 and IPv4, or for IPv4 alone on a machine without IPv6.

    Raises:
        ConfigurationError: the text is not HOST:PORT.
        OSError: the address can't be bound.
    """
    host, port = split_address(address)
    for_both = not host and socket.has_dualstack_ipv6()
    with contextlib.ExitStack() as undo:
        bound = undo.enter_context(socket.socket(socket.AF_INET6 if for_both or ":" in host else socket.AF_INET))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if for_both:  # the machine's own default may be IPv6 alone
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
        undo.pop_all()
    return bound


def open_listener(address: str) -> socket.socket:
    """A socket bound to the address.

    Raises:
        ConfigurationError: the address can't be bound.
    """
    try:
        return bound_socket(address)
    except OSError as error:
        raise ConfigurationError(
            f"The address {address} can't be used: {error.strerror}. Choose a free one with --listen."
        ) from None


def caller_address(peer: tuple[str, int] | None) -> str:
    """The caller's address as it is written elsewhere: that of an IPv4 caller without what the socket adds to it."""
    return str(peer[0]).removeprefix(_IPV4_MAPPED) if peer else ""
