"""Reads from the index what decides about one payment's goods."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode

#: What of an order is not of one payment, by table, and the column that says which is the newest.
_TIMES: Final = {"expected": "version", "overdue": "at", "requests": "at"}
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
    event = _event(newest["event"]) if newest is not None else None
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
    newest = {name: max(found.get(name, ()), key=lambda row: row[at], default=None) for name, at in _TIMES.items()}
    return replace(rows, expected=newest["expected"], overdue=newest["overdue"], request=newest["requests"])


def announced_payment(found: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """The id of the payment that the shop named for the order; empty without one."""
    return next((row["payment_id"] for row in found.get("expected", ()) if row["payment_id"]), "")


def _request(
    database: sqlite3.Connection, merchant: str, payment_id: str, order_id: str | None
) -> dict[str, Any] | None:
    """The newest request about the payment, or about its order without naming another payment."""
    of_payment = "SELECT * FROM requests WHERE payment_id = ? AND merchant = ?"
    of_order = "SELECT * FROM requests WHERE order_id = ? AND merchant = ? AND payment_id IS NULL"
    values = (payment_id, merchant, order_id, merchant)
    row = database.execute(f"{of_payment} UNION ALL {of_order} ORDER BY at DESC LIMIT 1", values).fetchone()
    return dict(row) if row is not None else None


def _event(value: bytes) -> PaymentStatus | None:
    try:
        return decode(value, PaymentStatus)
    except UnreadableError:  # of a later release
        return None
