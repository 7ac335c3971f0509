"""The budget of unsigned notifications: a limit on the lookups that unauthenticated callers can cause.

Anybody who knows the URL can send well-formed calls with invented ids, and each costs the merchant a provider call. So
calls about ids that the provider is not known to know take tokens from one bucket per merchant, and an id that turns
out to be unknown costs more. Calls about a known id take tokens from that id's own bucket: customers see the ids of
their own payments, and calls about one of them must not use up the budget of others. Both buckets are part of the
partition's state and go by the records' own times, so that a batch processed again after a crash is judged the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.known_ids import KnownIds
from paynotify.schemas.configuration.worker import UnsignedBudgetSettings
from paynotify.service.token_bucket import refill, take

_BUCKET: Final = struct.Struct(">ddQ")
_KNOWN_ID_BUCKET: Final = struct.Struct(">ddq")


class UnsignedBudget:
    """The budget of the merchants in one partition's state."""

    def __init__(self, state: Overlay, settings: UnsignedBudgetSettings) -> None:
        """``settings`` are one partition's share (see `partition_share`)."""
        self._state = state
        self._settings = settings
        self._known_ids = KnownIds(state)

    def charge(self, merchant: str, reference: str, notification_id: str, offset: int, now_seconds: float) -> bool:
        """Charge one unsigned notification about the id ``reference``; false if the budget is used up.

        ``offset`` is the record's. The same record processed again has the same result and is charged once; the same
        notification replayed later is another record, which is charged as of ``now_seconds`` (Unix time).
        """
        key = _charged_key(notification_id, offset)
        earlier = self._state.get(key)
        if earlier is not None:
            return earlier == b"1"
        if self._known_ids.is_known(merchant, reference):
            self._known_ids.renew(merchant, reference)  # what is stored of the call makes a write necessary anyway
            if self._charge_known(merchant, reference, offset, now_seconds):
                return True  # the bucket itself holds the offset
        elif self._charge_unknown(merchant, now_seconds):
            self._state.put(key, b"1")
            return True
        self._state.put(key, b"0")
        return False

    def is_known(self, merchant: str, reference: str) -> bool:
        """Whether the provider has known the id."""
        return self._known_ids.is_known(merchant, reference)

    def _charge_unknown(self, merchant: str, now_seconds: float) -> bool:
        key = _merchant_key(merchant)
        stored = self._state.get(key)
        before = TokenBucketState.from_bytes(stored) if stored else full_bucket(self._settings, now_seconds)
        ok, after = charge_unknown(
            before, self._settings, unknown_ids=self._known_ids.unknown_count(merchant), now_seconds=now_seconds
        )
        self._state.put(key, after.to_bytes())
        return ok

    def _charge_known(self, merchant: str, reference: str, offset: int, now_seconds: float) -> bool:
        key, burst = _known_id_key(merchant, reference), float(self._settings.known_burst)
        stored = self._state.get(key)
        tokens, at_seconds, last_offset = _KNOWN_ID_BUCKET.unpack(stored) if stored else (burst, now_seconds, -1)
        if stored is not None and offset <= last_offset:
            # charged before: had there been no token then, that would be stored under the record's own key
            self._state.put(key, stored)
            return True
        ok, tokens, at_seconds = take(tokens, at_seconds, now_seconds, self._settings.known_per_second, burst)
        self._state.put(key, _KNOWN_ID_BUCKET.pack(tokens, at_seconds, offset))
        return ok


@dataclass(frozen=True, slots=True)
class TokenBucketState:
    """A merchant's bucket in one partition. ``charged_unknown`` is how many unknown ids it was charged for so far."""

    tokens: float
    at_seconds: float
    charged_unknown: int

    @classmethod
    def from_bytes(cls, stored: bytes) -> TokenBucketState:
        return cls(*_BUCKET.unpack(stored))

    def to_bytes(self) -> bytes:
        return _BUCKET.pack(self.tokens, self.at_seconds, self.charged_unknown)


def full_bucket(settings: UnsignedBudgetSettings, now_seconds: float) -> TokenBucketState:
    """The bucket of a merchant that nobody has called for yet."""
    return TokenBucketState(float(settings.burst), now_seconds, 0)


def charge_unknown(
    bucket: TokenBucketState, settings: UnsignedBudgetSettings, *, unknown_ids: int, now_seconds: float
) -> tuple[bool, TokenBucketState]:
    """Take one token, after the penalty for ids that turned out to be unknown since the last charge.

    ``unknown_ids`` is how many ids of the merchant the provider has not known so far, in all.
    """
    burst = float(settings.burst)
    tokens = refill(bucket.tokens, bucket.at_seconds, now_seconds, settings.per_second, burst)
    # the count may have expired and begun again at 0
    penalty = max(0, unknown_ids - bucket.charged_unknown) * (settings.unknown_cost - 1)
    # bounded, or a flood would lock the merchant's callers out for longer than it lasted
    tokens = max(tokens - penalty, -burst)
    at_seconds = max(now_seconds, bucket.at_seconds)
    is_taken, tokens, at_seconds = take(tokens, at_seconds, at_seconds, settings.per_second, burst)
    return is_taken, TokenBucketState(tokens, at_seconds, unknown_ids)


def partition_share(settings: UnsignedBudgetSettings, partitions: int) -> UnsignedBudgetSettings:
    """One partition's share of a merchant's budget: its ids are spread over all partitions."""
    return msgspec.structs.replace(
        settings, per_second=settings.per_second / partitions, burst=max(1, settings.burst // partitions)
    )


def _merchant_key(merchant: str) -> bytes:
    return b"budget\0" + merchant.encode()


def _known_id_key(merchant: str, reference: str) -> bytes:
    return b"calls\0" + merchant.encode() + b"/" + reference.encode()


def _charged_key(notification_id: str, offset: int) -> bytes:
    """Of one record, since a notification that is replayed is another record and is charged again."""
    return b"charged\0" + notification_id.encode() + b"/" + str(offset).encode()
