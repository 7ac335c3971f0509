"""Who called, where trusted proxies are in front: the address that they pass on in a header.

Each proxy adds the address it was called from at the right. Only what trusted proxies added can be believed, so it is
read from the right: the first address that is no trusted proxy's is the caller's. What is further left came with the
call, and anybody may have written it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from paynotify.ingest.networks import Networks, address_in
from paynotify.schemas.configuration.ingest import ForwardedHeader, IngestSettings

#: More proxies than this are a caller's invention.
_MAX_PROXIES: Final = 16
#: Longer values of all such headers together are not read.
_MAX_VALUE_BYTES: Final = 4096

_MAX_ADDRESS_CHARACTERS: Final = 64

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#: What `Forwarded` is made of (RFC 7239): a pair, the end of a pair or element, or space.
_PART: Final = re.compile(rf'({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*+")|([;,])|[ \t]+')


class Forwarding:
    """Finds the callers behind ``trusted`` proxies, which use this header and no other."""

    def __init__(self, trusted: Networks, header: ForwardedHeader) -> None:
        self.trusted = trusted
        self._name = header.encode()
        self._addresses = _forwarded if header == "forwarded" else _x_forwarded_for

    def caller(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The caller's address. ``peer`` is whose connection it is, a trusted proxy.

        If a proxy does not say who called it, in an address that can be read, the proxy counts as the caller.
        """
        value = b",".join(value for name, value in headers if name == self._name)
        if not value or len(value) > _MAX_VALUE_BYTES:
            return peer
        last = peer
        for _, text in zip(range(_MAX_PROXIES), self._addresses(value.decode("latin-1")), strict=False):
            address = address_in(text) if text is not None and len(text) <= _MAX_ADDRESS_CHARACTERS else None
            if address is None:
                break
            last = address
            if last not in self.trusted:
                break
        return last


def forwarding(limits: IngestSettings) -> Forwarding | None:
    """That of the configuration; None where no proxy is trusted."""
    if not limits.trusted_proxies:
        return None
    return Forwarding(Networks(limits.trusted_proxies), limits.forwarded_header)


def _x_forwarded_for(value: str) -> Iterator[str | None]:
    """The addresses from the right, as they were written."""
    while value:
        value, _, last = value.rpartition(",")
        yield last


def _forwarded(value: str) -> Iterator[str | None]:
    """What follows ``for=`` of each element from the right; None for one without.

    A value that can't be read has none: a caller's quotation mark may enclose what proxies added.
    """
    elements: list[str | None] = [None]
    at = 0
    while at < len(value):
        part = _PART.match(value, at)
        if part is None:
            return iter(())
        name, text, end = part.groups()
        if end == ",":
            elements.append(None)
        elif name is not None and name.lower() == "for":
            elements[-1] = text[1:-1] if text.startswith('"') else text
        at = part.end()
    return reversed(elements)
