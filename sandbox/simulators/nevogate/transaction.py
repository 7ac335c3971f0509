"""One transaction at the simulated gateway: its state, the money it moved, and how the gateway reports it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.nevogate.call_bodies import BodyForm
from paynotify.schemas.money import exponent
from paynotify.schemas.status import Status

ResultCode = Literal["SUCCESSFUL", "PENDING", "OPEN", "CANCELED", "TIMEOUT", "ERROR"]
#: Whether only a card is verified, and then whether the responses say an amount of zero or none.
Verification = Literal["none", "zero", "absent"]
#: What is not final: the gateway calls no NotificationUrl for it.
UNDECIDED: Final[frozenset[ResultCode]] = frozenset(("PENDING", "OPEN"))
#: Whether a payment registered its payment method for later charges, and whether the registration is still valid.
Registration = Literal["none", "active", "withdrawn"]

_STATUS: Final[Mapping[str, Status]] = {
    "PENDING": "pending",
    "OPEN": "pending",
    "CANCELED": "cancelled",
    "TIMEOUT": "expired",
    "ERROR": "failed",
}
_MESSAGES: Final[Mapping[str, str]] = {
    "SUCCESSFUL": "Sikeres tranzakció",
    "PENDING": "Függőben lévő tranzakció",
    "CANCELED": "A tranzakciót a felhasználó megszakította",
}


@dataclass(slots=True, kw_only=True)
class MoneyMoved:
    """What one transaction moved, in the currency's minor unit.

    ``moved`` counts how often money was authorised (or captured at once) and ``closed`` how often the authorisation was
    closed. Neither is ever more than 1, whatever calls are made; ``starts`` and ``closes`` count the calls, including
    those whose connection broke before they were processed.
    """

    reserved: int = 0
    captured: int = 0
    released: int = 0
    moved: int = 0
    closed: int = 0
    starts: int = 0
    closes: int = 0


@dataclass(slots=True, kw_only=True)
class Transaction:
    """``reference`` is the initial payment of a recurring charge; empty for any other payment."""

    truth: Truth
    result: ResultCode = "OPEN"
    auto_commit: bool = True
    commit_state: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    user_id: str = "SANDBOX-USER"
    reference: str = ""
    registration: Registration = "none"
    verification: Verification = "none"
    form: BodyForm | None = None
    outcome: str = ""
    notification_url: str = ""
    response_url: str = ""
    started: bool = False
    money: MoneyMoved = field(default_factory=MoneyMoved)
    calls_attempted: int = 0
    calls_acknowledged: int = 0
    results: int = 0
    request_ids: set[str] = field(default_factory=set)
    #: when the last acknowledged notification began: a Result must come later
    last_call: int = 0
    last_result: int = 0

    @property
    def orphan(self) -> bool:
        """Whether it was opened for a charge and never started."""
        return bool(self.reference) and not self.started

    def becomes(self, result: ResultCode) -> None:
        """Change the gateway's result; money moves the first time that it is SUCCESSFUL, and never again."""
        self.result = result
        if result != "SUCCESSFUL":
            self.truth.becomes(_STATUS[result])
        elif self.verification == "none" and not self.money.moved:
            self.money.moved += 1
            self.money.reserved += self.truth.amount
            if self.auto_commit:
                self.money.captured = self.truth.paid = self.truth.amount
            else:
                self.commit_state = "PENDING"
            self.truth.becomes("captured" if self.auto_commit else "authorised")

    def close(self, captured: int) -> bool:
        """Capture ``captured`` of the authorisation and void the rest; false if nothing is authorised."""
        if self.result != "SUCCESSFUL" or self.commit_state != "PENDING":
            return False
        self.money.closed += 1
        self.money.captured = self.truth.paid = captured
        self.money.released = self.money.reserved - captured
        self.commit_state = "APPROVED" if captured else "DECLINED"
        self.truth.becomes("captured" if captured else "cancelled")
        return True

    def common(self, store_name: str) -> dict[str, str]:
        """The data of a Result; the amount stays the authorised one, even if only a part was captured."""
        truth = self.truth
        amount = Decimal(truth.amount).scaleb(-exponent(truth.currency))
        common = {
            "StoreName": store_name,
            "ProviderName": "Borgun2",
            "TransactionId": truth.payment_id,
            "ResultCode": self.result,
            "ResultMessage": _MESSAGES.get(self.result, "Sikertelen"),
            "Anum": "006766" if self.result == "SUCCESSFUL" else "",
            "Amount": f"{amount:f}" if amount % 1 else str(int(amount)),
            "Currency": truth.currency,
            "OrderId": truth.order_id,
            "UserId": self.user_id,
            "Language": "HU",
            "ProviderTransactionId": "tr_" + truth.payment_id[::-1],
            "AutoCommit": "true" if self.auto_commit else "false",
            "CommitState": self.commit_state,
            "Created": self.created,
            **response_id(),
        }
        return without_amount(common) if self.verification == "absent" else common


def without_amount(common: Mapping[str, str]) -> dict[str, str]:
    """The data of a Result as older documents have it, and of a verification that was initialised without an amount."""
    return {name: value for name, value in common.items() if name not in ("Amount", "Currency")}


def response_id() -> dict[str, str]:
    """The id of one response; every response has another, also about the same transaction."""
    return {"ResponseId": f"3{time.time_ns() // 1000}"}


def moved_by_order(book: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """What recurring charges moved for each order, summed over all its transactions, from ``GET /control/book``."""
    sums: dict[str, dict[str, int]] = {}
    for entry in book["money"].values():
        order = sums.setdefault(entry["order_id"], {"transactions": 0})
        order["transactions"] += 1
        for name, value in entry.items():
            if isinstance(value, int):
                order[name] = order.get(name, 0) + value
    return sums
