"""Reads from the index what decides about one payment's goods."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from paynotify.schemas.messages import PaymentStatus, decode_or_none

#: The states of requests that are not at their end.
UNFINISHED: Final = frozenset({"received", "started", "uncertain"})
#: What of an order is not of one payment, by table, and by what one row comes before another.
_DECIDING: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "expected": lambda row: row["version"],
    "overdue": lambda row: row["at"],
    "requests": lambda row: (row["state"] in UNFINISHED, row["at"]),
}
_NEWEST: Final = "SELECT * FROM {} WHERE transaction_id = ? AND merchant = ? ORDER BY at DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRows:
    """The rows about one payment, by table; None where there is none. ``order_id`` is that of the event, or else of
    the shop's announcement that names the payment."""

    event: PaymentStatus | None
    order_id: str | None
    expected: dict[str, Any] | None
    overdue: dict[str, Any] | None
    request: dict[str, Any] | None
    rejected: dict[str, Any] | None
    dead: dict[str, Any] | None
    silent: dict[str, Any] | None


def read_payment_rows(database: sqlite3.Connection, provider: str, merchant: str, payment_id: str) -> PaymentRows:
    """What is known of the payment. The database's rows must have names."""

    def first(statement: str, *values: Any) -> dict[str, Any] | None:
        row = database.execute(statement, values).fetchone()
        return dict(row) if row is not None else None

    newest = first("SELECT event FROM payments WHERE merchant = ? AND payment_id = ?", merchant, payment_id)
    event = decode_or_none(newest["event"], PaymentStatus) if newest is not None else None
    announced = first(
        "SELECT * FROM expected WHERE payment_id = ? AND merchant = ? ORDER BY version DESC LIMIT 1",
        *(payment_id, merchant),
    )
    order_id = (event.order_id if event is not None else None) or (announced["order_id"] if announced else None)
    of_order = (merchant, order_id)
    # a payment that the shop named is compared with the order that it was named for, whatever the provider calls it
    compared = (merchant, announced["order_id"] if announced is not None else order_id)
    return PaymentRows(
        event=event,
        order_id=order_id,
        expected=first("SELECT * FROM expected WHERE merchant = ? AND order_id = ?", *compared) or announced,
        overdue=first("SELECT * FROM overdue WHERE merchant = ? AND order_id = ?", *of_order),
        request=_request(database, merchant, payment_id, order_id),
        rejected=first(_NEWEST.format("rejected"), payment_id, merchant),
        dead=first(_NEWEST.format("dead"), payment_id, merchant),
        silent=first(
            "SELECT * FROM silent WHERE state = 'silent' AND merchant IN ('', ?) AND provider = ? LIMIT 1",
            *(merchant, provider),
        ),
    )


def of_unreported_order(rows: PaymentRows, found: Mapping[str, Sequence[dict[str, Any]]]) -> PaymentRows:
    """What decides about the goods of an order of which no payment is reported: ``found`` is what is known of the
    order, by table, ``rows`` of the payment that the shop named, if any."""

    def newest(name: str) -> dict[str, Any] | None:
        return max(found.get(name, ()), key=_DECIDING[name], default=None)

    return replace(rows, expected=newest("expected"), overdue=newest("overdue"), request=newest("requests"))


def announced_payment(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """The id of the payment that the shop named for the order; empty without one."""
    return next((row["payment_id"] for row in found.get("expected", ()) if row["payment_id"]), "")


def _request(
    database: sqlite3.Connection, merchant: str, payment_id: str, order_id: str | None
) -> dict[str, Any] | None:
    """The request that decides: one that is not at its end, or else the newest, about the payment or about its order
    without naming another payment. Beside an uncertain one a later request is refused, and must not hide it."""
    busy = ", ".join(f"'{one}'" for one in sorted(UNFINISHED))
    chosen = f"SELECT *, state IN ({busy}) AS is_unfinished FROM requests"  # noqa: S608 - own words
    of_payment = f"{chosen} WHERE payment_id = ? AND merchant = ?"
    of_order = f"{chosen} WHERE order_id = ? AND merchant = ? AND payment_id IS NULL"
    values = (payment_id, merchant, order_id, merchant)
    asked = f"{of_payment} UNION ALL {of_order} ORDER BY is_unfinished DESC, at DESC LIMIT 1"
    row = database.execute(asked, values).fetchone()
    return dict(row) if row is not None else None
