"""What is remembered of one order: what the shop expects, and which payments were seen for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.messages import ExpectedPayment, PaymentSeen
from schemas.status import ENDED_WITHOUT_MONEY


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """What is remembered of one order.

    ``said`` places what is expected among all that the shop said of the order, ``announced`` does so for each payment
    whose id the shop named. ``payments`` are those seen for it. ``due`` is what stands on the agenda for it, ``looks``
    how often it was looked for. ``paid_by`` is the first payment seen that took the expected amount; it stays so, since
    goods may have left for it. ``told`` says whether it was counted as heard of or not; ``raised`` that it was overdue
    once, ``overdue`` that it still is.
    """

    expected: ExpectedPayment | None = None
    said: str = ""
    announced: dict[str, str] = field(default_factory=dict)
    payments: dict[str, PaymentSeen] = field(default_factory=dict)
    due: tuple[str, int] | None = None
    looks: int = 0
    paid_by: str | None = None
    overdue: bool = False
    raised: bool = False
    told: bool = False

    @property
    def settled(self) -> PaymentSeen | None:
        """The payment after which none is missed any more, if there is one: it took money, or it is the last of those
        seen, which have all ended, with the one announced last among them. A first try that was declined says nothing
        of a second one.
        """
        paid = next((one for one in self.payments.values() if weight(one) == 2), None)
        if paid is not None:
            return paid
        newest = next(reversed(self.announced), None)
        awaited = newest is not None and newest not in self.payments
        ended = not awaited and all(one.final for one in self.payments.values())
        return next(reversed(self.payments.values()), None) if ended else None

    @property
    def payer(self) -> PaymentSeen | None:
        """A payment that took the expected amount and holds it."""
        expected = self.expected
        if expected is None:
            return None
        paid = (one for one in self.payments.values() if one.status == "captured" and one.amount == expected.amount)
        return next(paid, None)

    def open(self, *, but: str | None = None) -> list[str]:
        """The payments that have not ended, as far as is known, without that one."""
        known = dict.fromkeys((*self.announced, *self.payments))
        return [one for one in known if one != but and (one not in self.payments or not self.payments[one].final)]


def weight(payment: PaymentSeen) -> int:
    """How much it matters to remember the payment: one that took money most, one that ended without it least."""
    return 1 if not payment.final else 0 if payment.status in ENDED_WITHOUT_MONEY else 2
