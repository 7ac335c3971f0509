"""What a reconciliation found: how a period's payments differ from the provider's list, or from a shop's export."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from paynotify.schemas.messages.operators import OperatorIdentity
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import TimeText

#: ``here`` is what paynotify published, ``there`` the other side.
DifferenceKind = Literal["missing_here", "missing_there", "other_status", "other_amount"]
DIFFERENCE_KINDS: Final[tuple[DifferenceKind, ...]] = get_args(DifferenceKind)

#: What the payments were compared with: the provider's own list, or a file of the shop.
ReconciliationSource = Literal["provider", "export"]

#: Whether lookups that repair the differences were asked for: not at all, only listed, or queued.
RepairState = Literal["none", "listed", "queued"]

#: The differences that one record names: with the longest ids it stays well below Kafka's megabyte.
MAX_DIFFERENCES: Final = 200


class ReconciledEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One side's view of a payment. A field is absent where that side does not state it."""

    status: Status | None = None
    amount: Money | None = None
    paid: Money | None = None


class ReconciledDifference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One difference; ``here`` or ``there`` is absent if the payment is missing on that side."""

    kind: DifferenceKind
    payment_id: str | None = None
    order_id: str | None = None
    here: ReconciledEntry | None = None
    there: ReconciledEntry | None = None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One finished run of ``paynotify reconcile`` (on ``reconciliations``): ids and amounts, and no personal data.

    ``event_id`` is that of the run, and sorts by its time. ``start`` and ``end`` are the period. ``compared`` is how
    many of the other side's payments it had, ``too_new`` how many of them may still be on their way, and
    ``unreadable`` how many records of the list could not be read. ``differences`` are the first of
    ``differences_total``, ``kinds`` how many there are of each kind. ``lookups`` is how many repair them, of which
    ``queued`` were queued, and ``left_out`` how many differences have none, by cause. ``action_id`` is that of the
    action on ``operators.actions``, where lookups were queued. ``by`` is who ran it, known as ``identity`` says;
    ``os_user`` and ``kafka_user`` are the users of the operating system and of the brokers. Fields that do not apply
    are absent.
    """

    event_id: str
    merchant: str
    provider: str
    start: TimeText
    end: TimeText
    slack_seconds: int
    source: ReconciliationSource
    compared: int
    differences_total: int
    by: str
    identity: OperatorIdentity
    at: TimeText
    too_new: int = 0
    unreadable: int = 0
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    differences: tuple[ReconciledDifference, ...] = ()
    repair: RepairState = "none"
    lookups: int = 0
    queued: int = 0
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    action_id: str | None = None
    os_user: str = ""
    kafka_user: str | None = None
    reason: str | None = None
