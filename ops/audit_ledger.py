"""What becomes of each notification and each lookup, by their ids: the sums of G2 for one provider.

Pure bookkeeping. An id is 16 bytes and its fate a few bits, about 130 bytes of memory for a notification and as many
for a lookup; bodies are never kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final


class Fate(IntFlag):
    """What was seen of one notification."""

    STORED = 1
    LOOKUP = 2
    ALERT = 4
    DUPLICATE = 8
    REJECTED = 16
    OPEN = 32
    """verify has not committed it yet."""
    REPLAYED = 64


class End(IntFlag):
    """What was seen of one lookup."""

    ASKED = 1
    ANSWERED = 2
    DEAD = 4
    WAITING = 8
    """On a retry topic and not yet back."""
    OPEN = 16
    """fetch has not committed it yet."""


#: The ends of a notification, the one that counts after a replay first.
_FATES: Final = (("lookup", 2), ("alert", 4), ("duplicate", 8), ("rejected", 16))
_ENDS: Final = 2 | 4 | 8 | 16
_LOOKUP_ENDS: Final = (("answered", 2), ("waiting", 8), ("in_work", 16), ("dead", 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that does not add up."""

    scope: str
    what: str
    name: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.scope}: {self.name} {self.what}" + (f" ({self.where})" if self.where else "")


@dataclass(slots=True)
class Sums:
    """One provider's sums; ``lost`` is what no other number accounts for."""

    notifications: dict[str, int] = field(default_factory=dict)
    lookups: dict[str, int] = field(default_factory=dict)


class Ledger:
    """One provider's notifications and lookups of the window."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.fates: dict[bytes, int] = {}
        self.ends: dict[bytes, int] = {}

    def notification(self, name: bytes, flags: int) -> None:
        """Something was seen of the notification."""
        fates = self.fates
        fates[name] = fates.get(name, 0) | flags

    def lookup(self, name: bytes, flags: int) -> None:
        """Something was seen of the lookup."""
        ends = self.ends
        ends[name] = ends.get(name, 0) | flags

    def sums(self) -> Sums:
        """Each id counted under one word."""
        stored = dict.fromkeys(("stored", "lookup", "duplicate", "rejected", "alert", "in_work", "lost"), 0)
        for flags in self.fates.values():
            if flags & 1:
                stored["stored"] += 1
                stored[_fate(flags)] += 1
        asked = dict.fromkeys(("asked", "answered", "dead", "waiting", "in_work", "lost"), 0)
        for flags in self.ends.values():
            if flags & 1:
                asked["asked"] += 1
                asked[_end(flags)] += 1
        return Sums(stored, asked)

    def differences(self) -> Iterator[Difference]:
        """Every id that does not end as exactly one thing, or ends without having begun."""
        for name, flags in self.fates.items():
            what = _wrong_fate(flags)
            if what:
                yield Difference(scope=self.provider, what=what, name=f"notification {shown(name)}")
        for name, flags in self.ends.items():
            what = _wrong_end(flags)
            if what:
                yield Difference(scope=self.provider, what=what, name=f"lookup {shown(name)}")


def identity(text: bytes) -> bytes:
    """16 bytes that stand for an id: a UUID's own, a digest of anything else."""
    if len(text) == 36:
        try:
            return bytes.fromhex(text.replace(b"-", b"").decode("ascii"))
        except ValueError:
            pass  # as long as a UUID, but none
    return hashlib.blake2b(text, digest_size=16).digest()


def shown(name: bytes) -> str:
    """The id as it is written in headers (a digest for an id that is no UUID)."""
    text = name.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _fate(flags: int) -> str:
    for word, bit in _FATES:
        if flags & bit:
            return word
    return "in_work" if flags & Fate.OPEN else "lost"


def _end(flags: int) -> str:
    for word, bit in _LOOKUP_ENDS:
        if flags & bit:
            return word
    return "lost"


def _wrong_fate(flags: int) -> str:
    ends = flags & 30
    if not flags & 1:
        words = [word for word, bit in _FATES if flags & bit]
        return f"is {' and '.join(words)} but was never stored" if words else ""
    if not ends:
        return "" if flags & 32 else "was stored and verified and has become nothing"
    if ends & (ends - 1) and not flags & 64:
        return f"is {' and '.join(word for word, bit in _FATES if flags & bit)}, and must be one thing only"
    return ""


def _wrong_end(flags: int) -> str:
    if not flags & 1:
        return "ended but was never asked" if flags & 6 else ""
    return "" if flags & _ENDS else "was asked and has neither response nor dead letter, and waits nowhere"
