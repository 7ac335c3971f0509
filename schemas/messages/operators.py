"""What operators do: an intention before the first effect, and what became of it."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from paynotify.schemas.messages.empty import no_words
from paynotify.schemas.times import TimeText

#: The commands that change something, as `paynotify` names them. ``release`` voids an authorisation.
OperatorCommand = Literal["replay", "correct", "charge", "capture", "release", "reconcile", "forget", "subscriptions"]
OPERATOR_COMMANDS: Final[tuple[OperatorCommand, ...]] = get_args(OperatorCommand)

#: How it is known who acts: the user of the operating system, a name given by that user, or a name that was proven.
OperatorIdentity = Literal["os_user", "named", "authenticated"]

#: ``intended`` is acknowledged by the brokers before the first effect. Without a later state nobody knows how it ended.
ActionState = Literal["intended", "done", "failed", "interrupted"]


class OperatorAction(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One action of an operator (on ``operators.actions``): first as ``intended``, then as it ended.

    Both records have the same ``action_id``; ``event_id`` is that of this record. ``by`` is who acts, ``os_user`` the
    user of the operating system, ``kafka_user`` the name that the brokers authenticated, if they did by a password.
    ``arguments`` are those of the command, without secrets and personal data. ``planned`` is how many records it is to
    publish, ``published`` how many it sent, all acknowledged if it is ``done``; ``result`` is what else is known at the
    end. ``problem`` is the kind of the error that ended it. Fields that do not apply are absent.
    """

    event_id: str
    action_id: str
    state: ActionState
    command: OperatorCommand
    by: str
    identity: OperatorIdentity
    at: TimeText
    os_user: str = ""
    kafka_user: str | None = None
    host: str = ""
    merchant: str | None = None
    payment_id: str | None = None
    reason: str | None = None
    arguments: dict[str, str] = msgspec.field(default_factory=no_words)
    planned: int | None = None
    published: int | None = None
    result: dict[str, str] = msgspec.field(default_factory=no_words)
    problem: str | None = None
