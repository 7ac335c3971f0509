"""Which partition a key belongs to: the one that the default partitioner of every Kafka client chooses."""

from __future__ import annotations

import struct
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among so many."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """MurmurHash2 as Kafka seeds it. The clients' own read byte by byte and take two to three times as long."""
    length = len(data)
    whole = length & ~3
    value = _SEED ^ length
    for word in struct.unpack(f"<{whole >> 2}I", data[:whole]):
        mixed = word * _MULTIPLIER & _MASK
        value = (value * _MULTIPLIER ^ (mixed ^ mixed >> 24) * _MULTIPLIER) & _MASK
    if whole < length:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15
