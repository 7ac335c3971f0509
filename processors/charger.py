"""What a provider's module offers to the stage that charges, and nothing more.

Four calls, of which only ``start`` and ``close`` move money: ``init`` opens a transaction at the provider, ``start``
charges or reserves, ``close`` captures or releases what is reserved, ``truth`` asks what became of it. Each answers in
one of five words, and the stage's decisions depend on these words alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from processors.provider import Account, Answer, Outside
from schemas.errors import RequestReason
from schemas.messages import RequestedPayment
from schemas.money import Money
from schemas.status import Status


@dataclass(frozen=True, slots=True)
class Opened:
    """The provider has made a transaction; nothing has moved."""

    payment_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """The provider has told the payment's state, in the raw ``answer``; ``observed_at`` is as of when it is true."""

    status: Status
    amount: Money | None
    order_id: str | None
    observed_at: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly nothing was done, and asking again would not help."""

    reason: RequestReason


@dataclass(frozen=True, slots=True)
class Waits:
    """Certainly nothing was done; it may work later, perhaps once a person has mended something."""

    reason: RequestReason


@dataclass(frozen=True, slots=True)
class Unsure:
    """It may have been done: only the truth can tell."""

    reason: RequestReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a transaction is opened for."""

    order_id: str
    amount: Money
    reference_payment_id: str
    user_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What becomes of reserved money: ``capture`` this much of ``authorised`` and release the rest, none of it if none.

    ``authorised`` is none where nobody has told the amount; then only all of it can be captured or released.
    """

    payment_id: str
    capture: bool
    amount: Money | None
    authorised: Money | None


class Charger(Protocol):
    """One payment service provider that charges without the customer."""

    name: str
    #: Whether its notifications are unsigned, so that `verify` must be told which payments are its own.
    unsigned: bool

    def problem(self, asked: RequestedPayment, account: Account) -> RequestReason | None:
        """What in the request, or in the merchant's settings, the provider would not take."""

    async def init(self, order: Order, account: Account, outside: Outside) -> Opened | Refused | Waits:
        """Open a transaction. May be repeated: what is not started moves nothing."""

    async def start(self, payment_id: str, account: Account, outside: Outside) -> Told | Refused | Waits | Unsure:
        """Charge. Must not be repeated unless it answered `Waits`."""

    async def close(self, closing: Closing, account: Account, outside: Outside) -> Told | Refused | Waits | Unsure:
        """Capture or release. Must not be repeated unless it answered `Waits`, or the truth says: still open."""

    async def truth(self, payment_id: str, account: Account, outside: Outside) -> Told | Refused | Waits:
        """What the provider knows of a payment. A read, which may be repeated."""
