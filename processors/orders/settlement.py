"""The settlement that an order waits for: its payment is authorised, and the bank's money comes at a known time."""

from __future__ import annotations

from typing import Final

import msgspec

from paynotify.processors.orders.order_state import OrderState
from paynotify.processors.state import timer_queue
from paynotify.schemas.messages import PaymentSeen

#: The payments that settle in one night are looked up within an hour. Before that none of them is late.
_GRACE_MILLISECONDS: Final = 3600 * 1000


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The settlement of an authorised payment. From ``late_at`` (Unix milliseconds) it is late."""

    payment: PaymentSeen
    late_at: int


def awaited_settlement(state: OrderState) -> Settlement | None:
    """The settlement that the order waits for, of several the one that is due last; None if it waits for none."""
    settlements = [
        Settlement(one, timer_queue.parse_milliseconds(one.settles_by) + _GRACE_MILLISECONDS)
        for one in state.payments.values()
        if one.status == "authorised" and one.settles_by is not None
    ]
    return max(settlements, key=lambda one: one.late_at, default=None)
