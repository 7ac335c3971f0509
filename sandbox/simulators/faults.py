"""What can go wrong on the way to a provider, switched on for a while from outside."""

from __future__ import annotations

import random
import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: ``drop`` closes the connection before anything is done, ``lose`` after the work: only the answer is lost.
FaultKind = Literal["unavailable", "too_many", "html", "slow", "drop", "lose", "latency"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. ``seconds`` is how long a slow or late answer takes, ``share`` how many calls it hits.

    ``path`` limits it to calls whose path contains that text, ``calls`` to so many calls.
    """

    kind: FaultKind
    for_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    seconds: Annotated[float, Meta(ge=0, le=600)] = 1.0
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    path: str = ""
    calls: Annotated[int, Meta(ge=1)] | None = None


class _Active:
    __slots__ = ("calls_left", "fault", "until")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.until = time.monotonic() + fault.for_seconds
        self.calls_left = fault.calls

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until or self.calls_left == 0


class Faults:
    """The faults that are on now."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._active: list[_Active] = []

    def add(self, fault: Fault) -> None:
        self._active.append(_Active(fault))

    def clear(self) -> None:
        self._active.clear()

    def hits(self, path: str) -> Fault | None:
        """The fault this call meets, if any; the oldest wins."""
        if not self._active:
            return None
        self._active = [active for active in self._active if not active.over]
        for active in self._active:
            fault = active.fault
            if fault.path in path and (fault.share >= 1 or self._chance.random() < fault.share):
                if active.calls_left is not None:
                    active.calls_left -= 1
                return fault
        return None
