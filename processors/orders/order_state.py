"""The persisted state of one order: what the shop expects, and the payments observed for it."""

from __future__ import annotations

import msgspec

from paynotify.processors.orders import parts
from paynotify.schemas.messages import ExpectedPayment, PaymentSeen
from paynotify.schemas.status import ENDED_WITHOUT_MONEY


class OrderState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The state of one order, as encoded in the changelog.

    ``said`` is the version of the expectation, and ``announced`` the version in which the shop named each payment id
    (see `processors.orders.expected_payment.version_of`). ``payments`` are those observed, by id, the newest last.
    ``paid_by`` is the first payment observed that took the expected amount; it stays so, since goods may have been
    shipped for it. ``due`` is the order's timer: its queue and time in Unix milliseconds. ``looks`` is how many polls
    of the schedule are done. ``raised`` says that the order was reported as overdue, ``overdue`` that it still is, and
    ``told`` that it was counted as observed or missed. ``raised_at`` is when it was last reported, in Unix
    milliseconds. ``paid_in_parts`` says that ``paid_by`` is the part that completed the amount. ``parts_version``
    counts what may have changed the sum of the parts.
    """

    expected: ExpectedPayment | None = None
    said: str = ""
    announced: dict[str, str] = {}
    payments: dict[str, PaymentSeen] = {}
    due: tuple[str, int] | None = None
    looks: int = 0
    paid_by: str | None = None
    overdue: bool = False
    raised: bool = False
    told: bool = False
    raised_at: int = 0
    paid_in_parts: bool = False
    parts_version: int = 0

    @property
    def settled_by(self) -> PaymentSeen | None:
        """The payment that settles the order, if any: one that took money, or else the last one observed, once all
        have ended, the one that the shop named last among them. A declined first attempt does not settle the order
        while a second one is open, nor do parts that do not add up to the expected amount yet.
        """
        paid = [one for one in self.payments.values() if weight(one) == 2]
        if paid:
            whole = next((one for one in paid if one.order_role != "part"), None)
            return whole or (paid[-1] if self._parts_complete else None)
        newest = next(reversed(self.announced), None)
        awaited = newest is not None and newest not in self.payments
        ended = not awaited and all(one.final for one in self.payments.values())
        return next(reversed(self.payments.values()), None) if ended else None

    @property
    def payer(self) -> PaymentSeen | None:
        """A payment whose newest state is captured, with the expected amount; or the newest of the parts that add up
        to it. A later payment of a subscription is paid for something else."""
        expected = self.expected
        if expected is None:
            return None
        for one in self.payments.values():
            if one.order_role == "whole" and one.status == "captured" and (one.paid or one.amount) == expected.amount:
                return one
        paid_parts = (one for one in reversed(self.payments.values()) if parts.has_taken_money(one))
        return next(paid_parts, None) if self._parts_complete else None

    @property
    def _parts_complete(self) -> bool:
        expected = self.expected
        return expected is not None and parts.taken(self.payments.values(), expected.amount.currency) >= (
            expected.amount.value
        )

    @property
    def payment_ids(self) -> list[str]:
        """The payments that the shop named, then the other observed ones."""
        return list(dict.fromkeys((*self.announced, *self.payments)))

    def open_ids(self) -> list[str]:
        """The payments that have not ended as far as is known."""
        return [one for one in self.payment_ids if one not in self.payments or not self.payments[one].final]


def weight(payment: PaymentSeen) -> int:
    """The priority of retaining the payment: 2 if it took money, 1 while it is open, 0 if it ended without money."""
    return 1 if not payment.final else 0 if payment.status in ENDED_WITHOUT_MONEY else 2
