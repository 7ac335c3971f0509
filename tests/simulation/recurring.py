"""Nevogate's charges without the customer, as its pages describe them: InitRP, StartRP, Close; and what they moved.

Shares no code with the product. Whoever repeats StartRP or Close is refused, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, Final

from tests.simulation.plan import MERCHANTS, REFERENCES, Charge, Plan, ReferenceKind, reference_of
from tests.simulation.timeline import Timeline

#: What is opened and not started is given up after this time.
_START_SECONDS: Final = 40.0


@dataclass(slots=True)
class Transaction:
    """One payment made without the customer.

    ``words`` are its states with their times; ``starts`` and ``closes`` count the calls that came, ``closed`` those
    that did something; ``captured`` is the money taken.
    """

    payment_id: str
    merchant: str
    charge: Charge
    words: list[tuple[float, str]]
    starts: int = 0
    closes: int = 0
    closed: int = 0
    captured: int = 0

    @property
    def word(self) -> str:
        return self.words[-1][1]

    @property
    def started(self) -> bool:
        return self.starts > 0

    @property
    def has_money(self) -> bool:
        return self.word in ("authorised", "captured")

    @property
    def was_held(self) -> bool:
        """Whether its money ever moved."""
        return any(word == "authorised" for _, word in self.words)


@dataclass(slots=True)
class Recurring:
    """The gateway's books. ``tell`` makes it call the shop about a transaction."""

    loop: Timeline
    plan: Plan
    tell: Callable[[Transaction], None] = lambda one: None
    transactions: dict[str, Transaction] = field(default_factory=dict)
    _charges: dict[str, Charge] = field(default_factory=dict)
    _references: dict[str, ReferenceKind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._charges = {one.order_id: one for one in self.plan.charges}
        kinds: tuple[ReferenceKind, ...] = ("good", "failed")
        self._references = {
            reference_of(merchant, kind, number).payment_id: kind
            for merchant in MERCHANTS["nevogate"]
            for kind in kinds
            for number in range(REFERENCES)
        }

    def init(self, merchant: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        """Open a transaction."""
        kind = self._references.get(arguments["ReferenceTransactionId"])
        if kind is None:
            return {"ResultCode": "UnknownReferenceTransaction"}
        if kind == "failed":
            return {"ResultCode": "WrongReferenceTransactionStatus"}
        charge = self._charges[arguments["OrderId"]]
        earlier = sum(one.charge is charge for one in self.transactions.values())
        name = md5(f"{charge.number} {earlier}".encode(), usedforsecurity=False).hexdigest()
        opened = self.transactions[name] = Transaction(name, merchant, charge, [(self.loop.now, "pending")])
        self.loop.call_without_process(_START_SECONDS, self._give_up, opened)
        return {"ResultCode": "SUCCESSFUL", "TransactionId": name}

    def start(self, one: Transaction) -> dict[str, str]:
        """Reserve the money."""
        one.starts += 1
        if one.starts > 1 or one.word != "pending":
            return {"ResultCode": "WrongTransactionStatus"}
        if one.charge.pending_seconds:
            self.loop.call_without_process(one.charge.pending_seconds, self._becomes, one, one.charge.end)
        else:
            self._becomes(one, one.charge.end)
        return self.data(one)

    def close(self, one: Transaction, arguments: Mapping[str, Any]) -> dict[str, str]:
        """Take the money that is reserved, or a part of it, or none."""
        one.closes += 1
        if one.word != "authorised":
            return {"ResultCode": "WrongTransactionStatus"}
        one.closed += 1
        if arguments["Approved"] == "true":
            part = str(arguments.get("ApprovedAmount", "")).replace(".", "")
            one.captured = int(part) if part else one.charge.amount
        self._becomes(one, "captured" if one.captured else "cancelled")
        return {"ResultCode": "SUCCESSFUL", "TransactionId": one.payment_id}

    def data(self, one: Transaction) -> dict[str, str]:
        """What a Result says of it; the amount stays the whole one."""
        amount, started = one.charge.amount, one.started
        code = {"pending": "PENDING" if started else "OPEN", "failed": "ERROR", "expired": "TIMEOUT"}
        return {
            "TransactionId": one.payment_id,
            "ResultCode": code.get(one.word, "SUCCESSFUL"),
            "OrderId": one.charge.order_id,
            "Amount": f"{amount // 100}.{amount % 100:02d}",
            "Currency": "EUR",
            "AutoCommit": "false",
            "CommitState": _COMMIT_STATES.get(one.word, ""),
        }

    def reference(self, name: str) -> dict[str, str] | None:
        """What a Result says of a payment that registered a means of payment."""
        kind = self._references.get(name)
        if kind is None:
            return None
        return {
            "TransactionId": name,
            "ResultCode": "SUCCESSFUL" if kind == "good" else "ERROR",
            "OrderId": "REG",
            "Amount": "1.00",
            "Currency": "EUR",
            "AutoCommit": "true",
            "CommitState": "",
        }

    def _give_up(self, one: Transaction) -> None:
        if not one.started:
            self._becomes(one, "expired")

    def _becomes(self, one: Transaction, word: str) -> None:
        one.words.append((self.loop.now, word))
        self.tell(one)


_COMMIT_STATES: Final = {"authorised": "PENDING", "captured": "APPROVED", "cancelled": "DECLINED"}
