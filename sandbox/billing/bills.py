"""The bills of a month: reads them from a CSV, turns them into requests, and tracks the outcome of each."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import PaymentRequest, PaymentStatus, RequestedPayment
from paynotify.schemas.money import Money, from_major, to_major

#: The CSV's columns. ``amount`` is in major units (19.90); nothing here names a person.
COLUMNS: Final = ("customer", "reference_payment_id", "amount", "currency", "order_id")

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}\Z")
_MAX_BILLS: Final = 100_000
_REVERSED: Final = frozenset({"partially_refunded", "refunded", "charged_back"})

BillResult = Literal["paid", "unpaid", "uncertain", "open"]
SETTLED: Final[tuple[BillResult, ...]] = ("paid", "unpaid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a customer owes for the month, and the initial payment that registered the payment method."""

    customer: str
    reference_payment_id: str
    amount: Money
    order_id: str

    def request(self, merchant: str, month: str) -> RequestedPayment:
        """The charge to request. Its id depends on month and customer only, so a repeated request is the same one."""
        return RequestedPayment(
            request_id=derived_id("bill", merchant, month, self.customer),
            merchant=merchant,
            action="charge",
            order_id=self.order_id,
            reference_payment_id=self.reference_payment_id,
            amount=self.amount,
            capture="now",
        )


def read_bills(file: Path) -> list[Bill]:
    """Read the bills of the file.

    Raises:
        ConfigurationError: the file is missing or no such CSV, or a line has a wrong value or repeats a customer or
            order; the text names file, line and column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            return list(_bills(file, csv.DictReader(source, strict=True)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a CSV file in UTF-8"
        raise ConfigurationError(f"{file} cannot be read: {why}. Correct the path or the file.") from None


def _bills(file: Path, rows: csv.DictReader[str]) -> Iterator[Bill]:
    if set(rows.fieldnames or ()) != set(COLUMNS):
        raise ConfigurationError(f"{file}, line 1: the columns must be {', '.join(COLUMNS)}. Correct the first line.")
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        where = f"{file}, line {rows.line_num}"
        if None in row or None in row.values():
            raise ConfigurationError(f"{where}: the line must have {len(COLUMNS)} values. Correct it.")
        for name in ("customer", "order_id", "reference_payment_id"):
            if not _ID.match(row[name]):
                raise ConfigurationError(
                    f"{where}: {name} must be an id of 1 to 100 letters, digits and . _ : / -. Correct it; never use "
                    "an e-mail address or a name."
                )
        for name in ("customer", "order_id"):
            before = seen.setdefault((name, row[name]), rows.line_num)
            if before != rows.line_num:
                raise ConfigurationError(f"{where}: {name} is already on line {before}. Remove one of the two.")
        if len(seen) > 2 * _MAX_BILLS:
            raise ConfigurationError(f"{where}: the file must have at most {_MAX_BILLS} bills. Split it.")
        yield Bill(
            customer=row["customer"],
            reference_payment_id=row["reference_payment_id"],
            amount=_amount(row, where),
            order_id=row["order_id"],
        )


def _amount(row: dict[str, str], where: str) -> Money:
    try:
        amount = from_major(row["amount"], row["currency"])
    except UnreadableError:
        amount = None
    if amount is None or not amount.value:
        raise ConfigurationError(
            f"{where}: amount and currency must be such as 19.90 and EUR, with no more digits than the currency has. "
            "Correct them."
        )
    return amount


@dataclass(slots=True)
class Month:
    """The outcome of each bill, from the events on ``payments.requests`` and ``payments.status``."""

    merchant: str
    month: str
    bills: Sequence[Bill]
    _by_request: dict[str, Bill] = field(init=False)
    _orders: set[str] = field(init=False)
    _requests: dict[str, PaymentRequest] = field(default_factory=dict)
    _statuses: dict[str, PaymentStatus] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_request = {one.request(self.merchant, self.month).request_id: one for one in self.bills}
        self._orders = {one.order_id for one in self.bills}

    def requested(self, event: PaymentRequest) -> None:
        """Add an event of a request; those of other requests are ignored."""
        if event.merchant == self.merchant and event.request_id in self._by_request:
            self._requests[self._by_request[event.request_id].customer] = event

    def changed(self, event: PaymentStatus) -> None:
        """Add a payment's newest status."""
        if event.merchant == self.merchant and event.order_id in self._orders:
            self._statuses[event.payment_id] = event

    def count(self, *verdicts: BillResult) -> int:
        """The number of bills with one of these verdicts."""
        return sum(self.verdict(bill)[0] in verdicts for bill in self.bills)

    @property
    def confirmed(self) -> int:
        """The number of paid bills with an event on ``payments.status`` since the start of this run."""
        return sum(
            self.verdict(bill)[0] == "paid" and (self._requests[bill.customer].payment_id or "") in self._statuses
            for bill in self.bills
        )

    def verdict(self, bill: Bill) -> tuple[BillResult, str]:
        """The verdict on the bill, and the reason if it is not paid: a word of a closed list, never foreign text."""
        request = self._requests.get(bill.customer)
        if request is None:
            return "open", "no outcome yet"
        if request.state == "refused":
            return "unpaid", f"refused: {request.reason or 'no reason given'}"
        if request.state == "uncertain":
            return "uncertain", request.reason or "the provider's response is not known"
        if request.state != "done":
            return "open", request.state
        known = self._statuses.get(request.payment_id or "")
        published = known.status if known is not None else None
        if published in _REVERSED:
            return "unpaid", str(published)
        # the result topic may be behind the request's events, or publish a late success before them
        if "captured" in (request.status, published):
            return "paid", ""
        return "unpaid", ": ".join(filter(None, (request.status or "no status", request.reason)))

    def _amount(self, bill: Bill) -> Money:
        """The amount that was paid or requested: the file may have changed since an earlier run."""
        request = self._requests.get(bill.customer)
        if request is None:
            return bill.amount
        known = self._statuses.get(request.payment_id or "")
        return (known.paid if known is not None else None) or request.amount or bill.amount

    def as_json(self) -> dict[str, Any]:
        """The outcome for programs: customers by verdict, and sums by currency in minor units."""
        listed: dict[str, list[dict[str, str]]] = {"paid": [], "unpaid": [], "uncertain": [], "open": []}
        for bill in self.bills:
            verdict, why = self.verdict(bill)
            listed[verdict].append(
                {"customer": bill.customer, "order_id": bill.order_id, **({"why": why} if why else {})}
            )
        return {
            "merchant": self.merchant,
            "month": self.month,
            "bills": len(self.bills),
            "confirmed": self.confirmed,
            **listed,
            "sums": self.sums(),
        }

    def sums(self) -> dict[str, dict[str, int]]:
        """By currency: the number of bills of each verdict, and their sum ``<verdict>_value`` in minor units."""
        sums: dict[str, Counter[str]] = {}
        for bill in self.bills:
            verdict, _ = self.verdict(bill)
            amount = self._amount(bill)
            sums.setdefault(amount.currency, Counter()).update({verdict: 1, f"{verdict}_value": amount.value})
        return {currency: dict(counts) for currency, counts in sorted(sums.items())}


def in_major(value: int, currency: str) -> str:
    """A sum in major units with its currency, for people."""
    return f"{to_major(Money(value, currency))} {currency}"
