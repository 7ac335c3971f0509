"""What a provider's module offers to the stage that charges, and nothing more.

Four calls, of which only ``start`` and ``close`` move money: ``init`` opens a transaction at the provider, ``start``
charges or reserves, ``close`` captures or releases what is reserved, ``truth`` asks what became of it. Each answers in
one of five words, and the stage's decisions depend on these words alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from processors.providers.base import Account, Answer, CallContext
from schemas.messages import RequestedPayment
from schemas.money import Money
from schemas.reasons import RequestReason
from schemas.status import Status


@dataclass(frozen=True, slots=True)
class ChargeOpened:
    """The provider has made a transaction; nothing has moved."""

    payment_id: str


@dataclass(frozen=True, slots=True)
class ChargeReport:
    """The provider has told the payment's state, in the raw ``answer``; ``observed_at`` is as of when it is true."""

    status: Status
    amount: Money | None
    order_id: str | None
    observed_at: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class ChargeRejected:
    """Certainly nothing was done, and asking again would not help."""

    reason: RequestReason


@dataclass(frozen=True, slots=True)
class ChargeDelayed:
    """Certainly nothing was done; it may work later, perhaps once a person has mended something."""

    reason: RequestReason


@dataclass(frozen=True, slots=True)
class ChargeUnknown:
    """It may have been done: only the truth can tell."""

    reason: RequestReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeOrder:
    """What a transaction is opened for."""

    order_id: str
    amount: Money
    reference_payment_id: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrVoid:
    """What becomes of reserved money: ``capture`` this much of ``authorised`` and release the rest, none of it if none.

    ``authorised`` is none where nobody has told the amount; then only all of it can be captured or released.
    """

    payment_id: str
    capture: bool
    amount: Money | None
    authorised: Money | None


class ChargeGateway(Protocol):
    """One payment service provider that charges without the customer."""

    name: str
    #: Whether its notifications are unsigned, so that `verify` must be told which payments are its own.
    unsigned: bool

    def problem(self, asked: RequestedPayment, account: Account) -> RequestReason | None:
        """What in the request, or in the merchant's settings, the provider would not take."""

    async def init(
        self, order: ChargeOrder, account: Account, outside: CallContext
    ) -> ChargeOpened | ChargeRejected | ChargeDelayed:
        """Open a transaction. May be repeated: what is not started moves nothing."""

    async def start(
        self, payment_id: str, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed | ChargeUnknown:
        """Charge. Must not be repeated unless it answered `Waits`."""

    async def close(
        self, closing: CaptureOrVoid, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed | ChargeUnknown:
        """Capture or release. Must not be repeated unless it answered `Waits`, or the truth says: still open."""

    async def truth(
        self, payment_id: str, account: Account, outside: CallContext
    ) -> ChargeReport | ChargeRejected | ChargeDelayed:
        """What the provider knows of a payment. A read, which may be repeated."""
