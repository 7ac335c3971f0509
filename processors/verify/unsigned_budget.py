"""What unsigned calls may cost a merchant: a pure account of lookups that strangers can cause.

Anybody who knows the URL can send well-formed calls with made-up ids, and each costs the merchant a provider call.
The account fills with time up to a burst; a first call about an id costs one, an id the provider did not know some
more. Calls about an id the provider knew are charged to an account of that id alone: customers see the ids of their
own payments, and calls about one of them must not cost the others anything. All accounts are kept by the records' own
times, so that a batch repeated after a crash is judged the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.configuration.model import UnsignedBudget

_ACCOUNT: Final = struct.Struct(">ddQ")
_COUNT: Final = struct.Struct(">Q")
_KNOWN: Final = struct.Struct(">ddq")


@dataclass(frozen=True, slots=True)
class TokenBucketState:
    """A merchant's account in one partition: lookups left, as of when, and how many unknown ids were charged."""

    left: float
    at_seconds: float
    charged_unknown: int

    def to_bytes(self) -> bytes:
        return _ACCOUNT.pack(self.left, self.at_seconds, self.charged_unknown)


def spending(stored: bytes | None, budget: UnsignedBudget, now_seconds: float) -> TokenBucketState:
    """The account as stored; a full one for a merchant not seen before."""
    if stored is None:
        return TokenBucketState(float(budget.burst), now_seconds, 0)
    return TokenBucketState(*_ACCOUNT.unpack(stored))


def spend(
    account: TokenBucketState, budget: UnsignedBudget, *, unknown_ids: int, now_seconds: float
) -> tuple[bool, TokenBucketState]:
    """Whether one more lookup is within the budget, and the account afterwards.

    ``unknown_ids`` is how many ids of this merchant the provider has not known so far, in all.
    """
    elapsed_seconds = max(0.0, now_seconds - account.at_seconds)
    # the counter may have expired and begun anew
    fines = max(0, unknown_ids - account.charged_unknown) * (budget.unknown_cost - 1)
    left = min(float(budget.burst), account.left + elapsed_seconds * budget.per_second) - fines
    # fines never go below one empty account, or a flood would shut a merchant out for as long as it lasted
    left = max(left, -float(budget.burst))
    within = left >= 1
    return within, TokenBucketState(left - 1 if within else left, max(now_seconds, account.at_seconds), unknown_ids)


def spend_known(stored: bytes | None, budget: UnsignedBudget, *, now_seconds: float, offset: int) -> tuple[bool, bytes]:
    """Whether one more call about an id the provider knew is within that id's own account, and the account afterwards.

    A record that was counted before (``offset`` is not beyond the last one's) was within it.
    """
    burst = float(budget.known_burst)
    left, at_seconds, last = _KNOWN.unpack(stored) if stored is not None else (burst, now_seconds, -1)
    if stored is not None and offset <= last:
        return True, stored
    left = min(burst, left + max(0.0, now_seconds - at_seconds) * budget.known_per_second)
    within = left >= 1
    return within, _KNOWN.pack(left - 1 if within else left, max(now_seconds, at_seconds), offset)


def share(budget: UnsignedBudget, partitions: int) -> UnsignedBudget:
    """One partition's part of a budget: a merchant's ids are spread over all of them."""
    return msgspec.structs.replace(
        budget, per_second=budget.per_second / partitions, burst=max(1, budget.burst // partitions)
    )


def count(stored: bytes | None) -> int:
    """A counter in the state; 0 where there is none."""
    return int(_COUNT.unpack(stored)[0]) if stored is not None else 0


def counted(value: int) -> bytes:
    return _COUNT.pack(value)


def account_key(merchant: str) -> bytes:
    return b"budget\0" + merchant.encode()


def unknown_key(merchant: str) -> bytes:
    return b"unknown\0" + merchant.encode()


def known_key(merchant: str, reference: str) -> bytes:
    return b"known\0" + merchant.encode() + b"/" + reference.encode()


def calls_key(merchant: str, reference: str) -> bytes:
    return b"calls\0" + merchant.encode() + b"/" + reference.encode()


def charged_key(notification_id: str, offset: int) -> bytes:
    """Of one record: the same notification that is replayed later is another one, and judged anew."""
    return b"charged\0" + notification_id.encode() + b"/" + str(offset).encode()
