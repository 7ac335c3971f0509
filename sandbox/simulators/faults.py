"""Faults of calls to a provider, switched on for a time through the control API."""

from __future__ import annotations

import random
import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: ``drop`` closes the connection before the call is processed, ``lose`` afterwards: only the response is lost.
#: ``timeout`` and ``timeout_after`` send nothing instead of closing it. ``html_after`` and ``truncated`` process the
#: call and send an unreadable response. ``latency`` processes it late, even if the caller has given up. ``refuse``
#: does not process it and responds with the error ``code``. ``byte_order_mark`` to ``wrong_type`` process the
#: call and send its response as a careless proxy would; ``empty_401`` does not process it and sends a refusal whose
#: compressed body is empty.
FaultKind = Literal[
    "unavailable",
    "broken",
    "too_many",
    "html",
    "slow",
    "drop",
    "lose",
    "latency",
    "timeout",
    "timeout_after",
    "html_after",
    "truncated",
    "refuse",
    "byte_order_mark",
    "empty_encoding",
    "unknown_encoding",
    "encoding_forgotten",
    "broken_compression",
    "wrong_type",
    "empty_401",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. ``seconds`` is how long a slow, late or missing response takes, ``share`` the share of calls hit.

    ``path`` limits it to calls whose path contains that text (Nevogate's calls have their method at the end of it),
    ``calls`` to so many calls, ``for_seconds`` to a time. Without these it lasts until the faults are cleared.
    """

    kind: FaultKind
    code: str = ""
    for_seconds: Annotated[float, Meta(gt=0, le=86_400)] | None = 60.0
    seconds: Annotated[float, Meta(ge=0, le=600)] = 1.0
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    path: str = ""
    calls: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "refuse") != bool(self.code):
            raise ValueError("code is required for the kind refuse, and allowed for no other")


class _Active:
    __slots__ = ("calls_left", "fault", "until")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.until = float("inf") if fault.for_seconds is None else time.monotonic() + fault.for_seconds
        self.calls_left = fault.calls

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until or self.calls_left == 0


class Faults:
    """The faults that are switched on now."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._active: list[_Active] = []

    def add(self, fault: Fault) -> None:
        self._active.append(_Active(fault))

    def clear(self) -> None:
        self._active.clear()

    def hits(self, path: str) -> Fault | None:
        """The fault that hits this call, if any; the oldest one first."""
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
