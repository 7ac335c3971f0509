"""What became of a call to a provider: one family of outcomes for lookups and charges.

``reason`` is a word of a closed list (`schemas.reasons`): of `DeadReason` for lookups, of `RequestReason` for charges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from paynotify.schemas.reasons import DeadReason

Reason = TypeVar("Reason", bound=str)


class FurtherLookup(msgspec.Struct, frozen=True, gc=False):
    """A lookup that a response makes necessary: the operation, the provider's id, and further arguments.

    It is a recovery lookup, for no notification caused it. ``must_exist``: what it asks for was named by the provider
    itself, so that it is no recovery lookup, and what the provider does not know is dead-lettered.
    """

    operation: str
    reference: str | None
    arguments: Mapping[str, str] = {}
    must_exist: bool = False


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """A stored response answers the lookup.

    ``again`` asks for the same lookup once more later (the response was not conclusive), ``follow_ups`` for further
    references to be looked up, such as a refund's parent, ``further`` for lookups of another operation.
    """

    again: DeadReason | None = None
    follow_ups: tuple[str, ...] = ()
    further: tuple[FurtherLookup, ...] = ()


class RetryLater(msgspec.Struct, Generic[Reason], frozen=True, gc=False):
    """Certainly nothing was done; it may succeed later. ``retry_after_seconds`` is the wait the provider asks for."""

    reason: Reason
    detail: str = ""
    retry_after_seconds: float | None = None


class Failed(msgspec.Struct, Generic[Reason], frozen=True, gc=False):
    """Certainly nothing was done, and a retry would not help.

    ``alone``: it is this lookup's own value that was refused, not the call that it was made in.
    """

    reason: Reason
    detail: str = ""
    alone: bool = False


class Unknown(msgspec.Struct, Generic[Reason], frozen=True, gc=False):
    """It may have been done: only a poll of the payment shows whether it was."""

    reason: Reason


LookupOutcome = Succeeded | RetryLater[DeadReason] | Failed[DeadReason]
