"""What each of the console's actions has: a form, a least role, and a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.forms import ActionField, FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, PlannedAction
from paynotify.ops.console.topic_access import OpenReader
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.money import Money


class ConsoleAction(Protocol):
    """``name`` is the last part of its path; ``about`` says in a sentence what it is for."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def role(self) -> Role: ...

    @property
    def about(self) -> str: ...

    @property
    def fields(self) -> tuple[ActionField, ...]: ...

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run of what the form says, which changes nothing.

        Raises:
            ActionRefusedError: it can't be done, or not by this person.
            ConfigurationError: a field or the configuration is wrong.
            ClusterUnavailableError: the topics can't be read.
        """


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What dry runs and actions need."""

    configuration: Configuration
    open_reader: OpenReader

    def needs_second(self, amount: Money | None) -> bool:
        """Whether a second person must confirm what concerns this amount; None is an amount that is not known."""
        return needs_second_person(amount, self.configuration.console.four_eyes_above)


def needs_second_person(amount: Money | None, limits: Mapping[str, int]) -> bool:
    """Whether the amount is above its currency's limit (in minor units). Without any limit nothing is.

    With limits, an amount that is not known or of another currency needs a second person too: a currency that somebody
    forgot must not be one without a limit.
    """
    if not limits:
        return False
    return amount is None or amount.currency not in limits or amount.value > limits[amount.currency]


def stake(amount: Money | None, *others: Money | None) -> Money | None:
    """What is at stake with a payment of this amount where others are named too: the greatest of them.

    None if the payment's own is not known, whatever the others say: they are what somebody enters who wants something
    of it. None, too, if they are of several currencies.
    """
    named = [one for one in (amount, *others) if one is not None]
    if amount is None or len({one.currency for one in named}) > 1:
        return None
    return max(named, key=lambda one: one.value)


def require(identity: Identity, role: Role, merchant: str) -> None:
    """Let pass who has the role with the merchant.

    Raises:
        ActionRefusedError: the person has not. Whether there is such a merchant is not told.
    """
    if not identity.may(role, merchant):
        raise ActionRefusedError(f"This needs the role {role.name.lower()} with the merchant {merchant!r}.")
