"""The bounds of the ingress: rate per route and address, records in flight, size and time of a body (G9)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final

from service.token_bucket import take

#: Of an IPv6 address: what providers hand out is a network of 64 bits.
_NETWORK_BYTES: Final = 8

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class TokenBucket:
    """At most ``burst`` requests at once and ``rate_per_second`` on average."""

    __slots__ = ("_at_seconds", "_burst", "_rate_per_second", "_tokens")

    def __init__(self, rate_per_second: float, burst: int) -> None:
        self._rate_per_second = rate_per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_seconds = 0.0

    def take(self, now_seconds: float) -> bool:
        """Take one token; false if there is none. ``now_seconds`` is a monotonic clock."""
        ok, self._tokens, self._at_seconds = take(
            self._tokens, self._at_seconds, now_seconds, self._rate_per_second, self._burst
        )
        return ok


class AddressLimits:
    """A bucket for each caller's address; an IPv6 caller is its network, within which it can choose addresses.

    Bounded: of more addresses than ``most`` those heard of longest ago are forgotten.
    """

    __slots__ = ("_buckets", "_burst", "_most", "_rate_per_second")

    def __init__(self, rate_per_second: float, burst: int, most: int = 10_000) -> None:
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str, now_seconds: float) -> bool:
        """Take one token of the address; false where there is none."""
        caller = _caller(address)
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(self._rate_per_second, self._burst)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        return bucket.take(now_seconds)


def _caller(address: str) -> str:
    if ":" not in address:
        return address
    try:
        one = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    if one.ipv4_mapped is not None:
        return str(one.ipv4_mapped)
    return one.packed[:_NETWORK_BYTES].hex()


class Slots:
    """How many notifications may be in memory at once, from the body's first byte to the brokers' answer."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> bool:
        """Take one slot; false where all are taken."""
        if self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def give_back(self) -> None:
        self.taken -= 1


class Unread(Enum):
    """Why a body could not be read."""

    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    GONE = "gone"


async def read_body(receive: Receive, max_bytes: int, deadline_seconds: float) -> bytes | Unread:
    """The body, or why there is none. Never holds more than ``max_bytes`` and one read of the server."""
    try:
        async with asyncio.timeout(deadline_seconds):
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                return body if len(body) <= max_bytes else Unread.TOO_LARGE
            return await _read_parts(message, receive, max_bytes)
    except TimeoutError:
        return Unread.TOO_SLOW


async def _read_parts(message: MutableMapping[str, Any], receive: Receive, max_bytes: int) -> bytes | Unread:
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return Unread.TOO_LARGE
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()
    return Unread.GONE
