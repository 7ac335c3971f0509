"""What becomes of each notification and each lookup, by their ids: the sums of G2 for one provider.

Pure bookkeeping. An id is 16 bytes and its fate a few bits, about 100 bytes of memory for a notification and as many
for a lookup; bodies are never kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final


class Fate:
    """What was seen of one notification: plain bits, for an enumeration's would cost more than the rest."""

    STORED: Final = 1
    LOOKUP: Final = 2
    ALERT: Final = 4
    DUPLICATE: Final = 8
    REJECTED: Final = 16
    #: verify has not committed it yet
    OPEN: Final = 32
    REPLAYED: Final = 64


class End:
    """What was seen of one lookup."""

    ASKED: Final = 1
    ANSWERED: Final = 2
    DEAD: Final = 4
    #: on a retry topic and not yet back
    WAITING: Final = 8
    #: fetch has not committed it yet
    OPEN: Final = 16


#: The ends of a notification; the one that counts after a replay first.
_FATES: Final = (
    ("lookup", Fate.LOOKUP),
    ("alert", Fate.ALERT),
    ("duplicate", Fate.DUPLICATE),
    ("rejected", Fate.REJECTED),
)
_ONE_OF: Final = Fate.LOOKUP | Fate.ALERT | Fate.DUPLICATE | Fate.REJECTED
#: A dead lookup that was replayed is in work again.
_LOOKUP_ENDS: Final = (
    ("answered", End.ANSWERED),
    ("waiting", End.WAITING),
    ("in_work", End.OPEN),
    ("dead", End.DEAD),
)
_ACCOUNTED: Final = End.ANSWERED | End.WAITING | End.OPEN | End.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDifference:
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
            if flags & Fate.STORED:
                stored["stored"] += 1
                stored[_fate(flags)] += 1
        asked = dict.fromkeys(("asked", "answered", "dead", "waiting", "in_work", "lost"), 0)
        for flags in self.ends.values():
            if flags & End.ASKED:
                asked["asked"] += 1
                asked[_end(flags)] += 1
        return Sums(stored, asked)

    def differences(self) -> Iterator[AuditDifference]:
        """Every id that does not end as exactly one thing, or ends without having begun."""
        for name, flags in self.fates.items():
            what = _wrong_fate(flags)
            if what:
                yield AuditDifference(scope=self.provider, what=what, name=f"notification {shown(name)}")
        for name, flags in self.ends.items():
            what = _wrong_end(flags)
            if what:
                yield AuditDifference(scope=self.provider, what=what, name=f"lookup {shown(name)}")


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
    ends = flags & _ONE_OF
    if flags & Fate.STORED and ends and not ends & (ends - 1):
        return ""  # exactly one, as nearly all are
    words = [word for word, bit in _FATES if flags & bit]
    if not flags & Fate.STORED:
        return f"is {' and '.join(words)} but was never stored" if words else ""
    if not ends:
        return "" if flags & Fate.OPEN else "was stored and verified and has become nothing"
    if len(words) > 1 and not flags & Fate.REPLAYED:
        return f"is {' and '.join(words)}, and must be one thing only"
    return ""


def _wrong_end(flags: int) -> str:
    if not flags & End.ASKED:
        return "ended but was never asked" if flags & (End.ANSWERED | End.DEAD) else ""
    return "" if flags & _ACCOUNTED else "was asked and has neither response nor dead letter, and waits nowhere"
