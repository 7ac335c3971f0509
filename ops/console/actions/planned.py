"""What a dry run found: what an action would do, and the function that does exactly that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from paynotify.ops.common.operator import Operator
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.schemas.errors import PaynotifyError
from paynotify.schemas.money import Money


class ActionRefusedError(PaynotifyError):
    """An action that can't be done: nothing was done. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Who performs an action, and who confirmed it as the second person; None where none had to."""

    operator: Operator
    second: str | None = None

    def recorded(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """The arguments as the record of the action has them."""
        return {**arguments, **({"confirmed_by": self.second} if self.second else {})}


#: Does what was planned. It compares the topics with the plan first, and raises `ActionRefusedError` if they changed.
Perform = Callable[[Performer, ActionRun], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """``merchants`` are those that it concerns; None stands for all. ``records`` is how many it publishes.

    ``sentence`` sums it up; ``facts`` are labels and texts; ``rows`` are the first of what it concerns, under
    ``header``. ``amount`` is the money that it is about, if that is known. ``needs_second`` is whether a second person
    must confirm it. ``charges`` is the initial payment that a charge is of: such charges count together.
    """

    title: str
    role: Role
    merchants: frozenset[str] | None
    records: int
    sentence: str
    perform: Perform
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    amount: Money | None = None
    needs_second: bool = False
    charges: str = ""

    def is_for(self, identity: Identity) -> bool:
        """Whether somebody may do this: with each of its merchants."""
        if self.merchants is None:
            return identity.merchants(self.role) is None
        return all(identity.may(self.role, one) for one in self.merchants)
