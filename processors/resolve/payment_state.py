"""The persisted state of one payment, and the result of one observation on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from processors.resolve.follow_up import Follow
from schemas.messages import Expectation, OrderRole, PaymentStatus, Refund
from schemas.money import Money

TransitionKind = Literal["changed", "unchanged", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """The persisted state of one payment, as encoded in the changelog.

    ``last`` is its newest event; ``refunds`` are all observed ones, also those observed before the payment itself.
    ``newest`` is the time of the newest observation of its status, by the provider's clock and then by ours. It may be
    later than the last event's: an observation that is refused or changes nothing makes no event, and a refund has a
    time of its own. ``expected`` is what the shop expects, ``capturing`` the part that we asked to be captured.
    ``follows`` is what the provider will still change without a notification, ``order_role`` what the payment is to its
    order.
    """

    last: PaymentStatus | None = None
    refunds: tuple[Refund, ...] = ()
    newest: tuple[str, str] = ("", "")
    expected: Expectation | None = None
    capturing: Money | None = None
    follows: tuple[Follow, ...] = ()
    order_role: OrderRole = "whole"


@dataclass(frozen=True, slots=True)
class Advance:
    """The result of one observation: the new state, the kind of transition, and the event to publish if any.

    ``late_success`` says that the payment succeeded after a failure had been published.
    """

    state: PaymentState
    kind: TransitionKind
    event: PaymentStatus | None = None
    late_success: bool = False
