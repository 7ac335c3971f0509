"""Limits what unauthenticated callers can use: rate per route and address, and slots in flight.

A call takes one token, and a long one takes another for each further `TOKEN_BYTES` that are stored of it: so a rate is
a limit of bytes too, and says how fast strangers can fill a disk.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address
from typing import Final

from paynotify.ingest.networks import parsed_address
from paynotify.service.token_bucket import refill, take

#: What is stored of a call for one token. Providers' calls have less.
TOKEN_BYTES: Final = 4096

#: An IPv6 caller usually has a network of 64 bits to choose addresses from.
_NETWORK_BYTES: Final = 8


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

    def wait_seconds(self, now_seconds: float) -> float:
        """How long until there is a token to take; 0 if there is one."""
        held = refill(self._tokens, self._at_seconds, now_seconds, self._rate_per_second, self._burst)
        return 0.0 if held >= 1.0 else (1.0 - held) / self._rate_per_second

    def charge(self, tokens: int) -> None:
        """Take so many more for a call that was let in already. What is missing must be earned before the next one."""
        self._tokens = max(self._tokens - tokens, -self._burst)


class AddressLimits:
    """A token bucket for each caller's address; for IPv6, for each network of 64 bits.

    At most ``limit`` addresses are tracked; beyond that the least recently used is dropped.
    """

    __slots__ = ("_buckets", "_burst", "_limit", "_rate_per_second")

    def __init__(self, rate_per_second: float, burst: int, limit: int = 10_000) -> None:
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._limit = limit
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str, now_seconds: float) -> bool:
        """Take one token of the address; false if there is none."""
        caller = _caller(address)
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(self._rate_per_second, self._burst)
            if len(self._buckets) > self._limit:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        return bucket.take(now_seconds)

    def wait_seconds(self, address: str, now_seconds: float) -> float:
        """How long until the address has a token to take; 0 if it has one."""
        bucket = self._buckets.get(_caller(address))
        return 0.0 if bucket is None else bucket.wait_seconds(now_seconds)

    def charge(self, address: str, tokens: int) -> None:
        """Take so many more of an address whose call was let in already."""
        bucket = self._buckets.get(_caller(address))
        if bucket is not None:
            bucket.charge(tokens)


def _caller(address: str) -> str:
    if ":" not in address:
        return address
    one = parsed_address(address)
    if one is None:
        return address
    return one.packed[:_NETWORK_BYTES].hex() if isinstance(one, IPv6Address) else str(one)


class Slots:
    """Limits the notifications in memory, from a body's first byte to the brokers' acknowledgement."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> bool:
        """Take one slot; false if all are taken."""
        if self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def release(self) -> None:
        self.taken -= 1
