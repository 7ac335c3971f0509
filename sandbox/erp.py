"""An example ERP: books payments, refunds and chargebacks. Run as ``python -m sandbox.erp``. Free to copy.

A booking is the difference between the event's total and what is booked already. It is therefore right for any
sequence of statuses: straight from unknown to refunded, or a partial refund that grows.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from sandbox.consumer import main

TABLES = """
CREATE TABLE IF NOT EXISTS bookings (
    event_id TEXT, merchant TEXT, payment_id TEXT, order_id TEXT,
    kind TEXT CHECK (kind IN ('paid', 'refunded', 'charged_back')),
    value INTEGER, currency TEXT, PRIMARY KEY (event_id, kind)
);
CREATE INDEX IF NOT EXISTS bookings_of_payment ON bookings (merchant, payment_id, kind);
"""

_PAID = {"captured", "partially_refunded", "refunded", "charged_back"}


def totals(event: dict[str, Any]) -> dict[str, int]:
    """The totals to be booked for the payment by kind, in the currency's minor unit."""
    if event["status"] not in _PAID:
        return {}
    paid = (event["paid"] or event["amount"] or {"value": 0})["value"]
    refunded = (event["refunded"] or {"value": 0})["value"]
    if event["status"] == "refunded" and not refunded:
        refunded = paid
    charged_back = paid - refunded if event["status"] == "charged_back" else 0
    return {"paid": paid, "refunded": refunded, "charged_back": charged_back}


def book(database: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Book the differences."""
    money = event["paid"] or event["amount"] or {"currency": None}
    for kind, total in totals(event).items():
        (booked,) = database.execute(
            "SELECT coalesce(sum(value), 0) FROM bookings WHERE merchant = ? AND payment_id = ? AND kind = ?",
            (event["merchant"], event["payment_id"], kind),
        ).fetchone()
        if total > booked:
            database.execute(
                "INSERT INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    event["event_id"],
                    event["merchant"],
                    event["payment_id"],
                    event["order_id"],
                    kind,
                    total - booked,
                    money["currency"],
                ),
            )


if __name__ == "__main__":
    sys.exit(main("erp", TABLES, book))
