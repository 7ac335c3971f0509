"""Accounts for one provider's notifications and lookups by their ids.

Pure: no topic is read here. An id is 16 bytes and its state a few bits, which takes about 100 bytes of memory for a
notification and the same for a lookup. Bodies are never stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final


class NotificationFlags:
    """What was observed of one notification, as plain integers: `enum.Flag` costs more than the rest of the audit."""

    STORED: Final = 1
    LOOKUP: Final = 2
    ALERT: Final = 4
    DUPLICATE: Final = 8
    REJECTED: Final = 16
    #: the verify stage has not committed it yet
    OPEN: Final = 32
    REPLAYED: Final = 64


class LookupFlags:
    """What was observed of one lookup."""

    ASKED: Final = 1
    ANSWERED: Final = 2
    DEAD: Final = 4
    #: on a retry topic, and not yet back on the lookup topic
    WAITING: Final = 8
    #: the fetch stage has not committed it yet
    OPEN: Final = 16


#: The outcomes of a notification; after a replay, the first that applies counts.
_OUTCOMES: Final = (
    ("lookup", NotificationFlags.LOOKUP),
    ("alert", NotificationFlags.ALERT),
    ("duplicate", NotificationFlags.DUPLICATE),
    ("rejected", NotificationFlags.REJECTED),
)
_ANY_OUTCOME: Final = (
    NotificationFlags.LOOKUP | NotificationFlags.ALERT | NotificationFlags.DUPLICATE | NotificationFlags.REJECTED
)
#: In order of precedence: a dead-lettered lookup that was replayed is in work again.
_LOOKUP_STATES: Final = (
    ("answered", LookupFlags.ANSWERED),
    ("waiting", LookupFlags.WAITING),
    ("in_work", LookupFlags.OPEN),
    ("dead", LookupFlags.DEAD),
)
_ACCOUNTED: Final = LookupFlags.ANSWERED | LookupFlags.WAITING | LookupFlags.OPEN | LookupFlags.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDifference:
    """One id that is not accounted for as it should be."""

    scope: str
    what: str
    name: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.scope}: {self.name} {self.what}" + (f" ({self.where})" if self.where else "")


@dataclass(slots=True)
class AuditSums:
    """One provider's sums; ``lost`` is what no other number accounts for."""

    notifications: dict[str, int] = field(default_factory=dict)
    lookups: dict[str, int] = field(default_factory=dict)


class AuditLedger:
    """One provider's notifications and lookups of the window."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.notifications: dict[bytes, int] = {}
        self.lookups: dict[bytes, int] = {}

    def notification(self, name: bytes, flags: int) -> None:
        """Add flags to a notification."""
        known = self.notifications
        known[name] = known.get(name, 0) | flags

    def lookup(self, name: bytes, flags: int) -> None:
        """Add flags to a lookup."""
        known = self.lookups
        known[name] = known.get(name, 0) | flags

    def sums(self) -> AuditSums:
        """The counts; each id counts once."""
        stored = dict.fromkeys(("stored", "lookup", "duplicate", "rejected", "alert", "in_work", "lost"), 0)
        for flags in self.notifications.values():
            if flags & NotificationFlags.STORED:
                stored["stored"] += 1
                stored[_notification_outcome(flags)] += 1
        asked = dict.fromkeys(("asked", "answered", "dead", "waiting", "in_work", "lost"), 0)
        for flags in self.lookups.values():
            if flags & LookupFlags.ASKED:
                asked["asked"] += 1
                asked[_lookup_state(flags)] += 1
        return AuditSums(stored, asked)

    def differences(self) -> Iterator[AuditDifference]:
        """Every id with no outcome, with several, or with an outcome but no beginning."""
        for name, flags in self.notifications.items():
            what = _notification_problem(flags)
            if what:
                yield AuditDifference(scope=self.provider, what=what, name=f"notification {identity_text(name)}")
        for name, flags in self.lookups.items():
            what = _lookup_problem(flags)
            if what:
                yield AuditDifference(scope=self.provider, what=what, name=f"lookup {identity_text(name)}")


def identity(text: bytes) -> bytes:
    """16 bytes that identify an id: a UUID's own bytes, a digest of any other text."""
    if len(text) == 36:
        try:
            return bytes.fromhex(text.replace(b"-", b"").decode("ascii"))
        except ValueError:
            pass  # has the length of a UUID, but is not one
    return hashlib.blake2b(text, digest_size=16).digest()


def identity_text(name: bytes) -> str:
    """The identity in the form of a UUID, which is the id itself if it is a UUID."""
    text = name.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _notification_outcome(flags: int) -> str:
    for name, bit in _OUTCOMES:
        if flags & bit:
            return name
    return "in_work" if flags & NotificationFlags.OPEN else "lost"


def _lookup_state(flags: int) -> str:
    for name, bit in _LOOKUP_STATES:
        if flags & bit:
            return name
    return "lost"


def _notification_problem(flags: int) -> str:
    outcomes = flags & _ANY_OUTCOME
    if flags & NotificationFlags.STORED and outcomes and not outcomes & (outcomes - 1):
        return ""  # exactly one bit is set, as for nearly all
    names = [name for name, bit in _OUTCOMES if flags & bit]
    if not flags & NotificationFlags.STORED:
        return f"is {' and '.join(names)} but was never stored" if names else ""
    if not outcomes:
        return "" if flags & NotificationFlags.OPEN else "was stored and verified but has no outcome"
    if len(names) > 1 and not flags & NotificationFlags.REPLAYED:
        return f"is {' and '.join(names)}, but must have one outcome only"
    return ""


def _lookup_problem(flags: int) -> str:
    if not flags & LookupFlags.ASKED:
        return (
            "has a response or dead letter but was never published"
            if flags & (LookupFlags.ANSWERED | LookupFlags.DEAD)
            else ""
        )
    return (
        ""
        if flags & _ACCOUNTED
        else "was published but has neither response nor dead letter, and is not on a retry topic"
    )
