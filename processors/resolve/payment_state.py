"""The persisted state of one payment, and the result of one observation on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from paynotify.processors.resolve.follow_up import Follow
from paynotify.schemas import messages
from paynotify.schemas.messages import Chargeback, Correction, Expectation, OrderRole, PaymentStatus, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status

TransitionKind = Literal["changed", "unchanged", "refused", "moneyless"]


class PaymentState(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The persisted state of one payment, as encoded in the changelog.

    ``last`` is its newest event. ``reported`` is the status that the provider reports of the payment itself, or an
    operator; refunds and chargebacks are added to it (`reported_status`, as earlier releases did not store it).
    ``newest`` is the time of the newest observation of its status, by the provider's clock and then by ours. It may be
    later than the last event's: an observation that is refused or changes nothing makes no event, and a refund has a
    time of its own. ``expected`` is what the shop expects, ``capturing`` the part that we asked to be captured.
    ``follows`` is what the provider will still change without a notification, ``order_role`` what the payment is to its
    order.

    ``refunds`` and ``chargebacks`` are all observed ones, also those observed before the payment itself;
    ``refund_times`` are the times of the refunds' newest observations. ``overridden`` are the ids of those that a
    correction declared void. ``corrections`` are the ids of the last ones applied, ``corrected_at`` is the time of what
    was known at the newest, ``correction`` who made it, while its status stands.

    ``secured``: the newest observation as authorised allows shipping. ``released``: an event has released the goods.
    ``returned``: captured money came back without a refund. ``over_refunded``: more was refunded than was captured.
    """

    last: PaymentStatus | None = None
    refunds: tuple[Refund, ...] = ()
    newest: tuple[str, str] = ("", "")
    expected: Expectation | None = None
    capturing: Money | None = None
    follows: tuple[Follow, ...] = ()
    order_role: OrderRole = "whole"
    reported: Status | None = None
    refund_times: Mapping[str, tuple[str, str]] = {}
    chargebacks: tuple[Chargeback, ...] = ()
    overridden: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    corrected_at: str = ""
    correction: Correction | None = None
    secured: bool = False
    released: bool = False
    returned: bool = False
    over_refunded: bool = False


def reported_status(state: PaymentState) -> Status | None:
    """The status that the provider or an operator reports of the payment itself; None before there is any."""
    if state.reported is not None or state.last is None:
        return state.reported
    status = state.last.status
    if status in ("partially_refunded", "refunded") and any(one.settled for one in state.refunds):
        return "captured"
    return status


class Advance(msgspec.Struct, frozen=True, gc=False):
    """The result of one observation: the new state, the kind of transition, and the event to publish if any, with its
    bytes.

    ``late_success``: the payment succeeded after a failure had been published. ``money_returned``: the event says that
    captured money came back without a refund. ``over_refunded``: for the first time more is refunded than was captured;
    ``refunded_beyond``: for the first time, or more than before. ``money_taken_back``: refused, although the newest
    response says that captured money is not captured.
    """

    state: PaymentState
    kind: TransitionKind
    event: PaymentStatus | None = None
    event_bytes: bytes | None = None
    late_success: bool = False
    money_returned: bool = False
    over_refunded: bool = False
    refunded_beyond: bool = False
    money_taken_back: bool = False


def encoded(state: PaymentState, last: bytes | None = None) -> bytes:
    """The state as it is stored: without the fields that have nothing to say, as there is one for each payment.

    ``last`` are the newest event's bytes, if they are known already.
    """
    if last is not None:
        state = msgspec.structs.replace(state, last=msgspec.Raw(last))
    return messages.encode(state)
