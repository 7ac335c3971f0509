"""The kinds of records that may be replayed, each with its topics and the reasons that its records have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.reasons import DEAD_REASONS, DELIVERY_REASONS, REJECT_REASONS

#: As an operator names them; ``all`` stands for the first two.
KINDS: Final = ("rejected", "dead", "deliveries", "all")

_SOURCES: Final = {
    "rejected": (topics.REJECTED,),
    "dead": (topics.DEAD,),
    "deliveries": (topics.DELIVERIES_DEAD,),
}
_REASONS: Final[Mapping[str, Collection[str]]] = {
    "rejected": REJECT_REASONS,
    "dead": DEAD_REASONS,
    "deliveries": DELIVERY_REASONS,
}


def sources_of(kind: str) -> list[str]:
    """The topics (without prefix) that hold the records of this kind."""
    return [name for one in _kinds(kind) for name in _SOURCES[one]]


def checked_reasons(kind: str, reasons: Collection[str]) -> frozenset[str]:
    """The reasons, if records of this kind can have them.

    Raises:
        ConfigurationError: one of them is another kind's, or none at all.
    """
    possible = {reason for one in _kinds(kind) for reason in _REASONS[one]}
    for reason in reasons:
        if reason not in possible:
            raise ConfigurationError(
                f"--reason must be a reason of {kind} records ({', '.join(sorted(possible))}), got {reason!r}."
            )
    return frozenset(reasons)


def _kinds(kind: str) -> tuple[str, ...]:
    return ("rejected", "dead") if kind == "all" else (kind,)
