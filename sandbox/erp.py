"""An example ERP: books payments, refunds and chargebacks. Run as ``python -m paynotify.sandbox.erp``.

The demo's, on SQLite; ``examples/postgres/bookings.py`` is the one to copy.

A booking is the difference between the event's total and what is booked already. It is therefore right for any
sequence of statuses: straight from unknown to refunded, or a partial refund that grows. A total that falls is booked
with a negative value: a reversal, as after an operator's correction.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping
from typing import Any

from paynotify.sandbox.consumer import main

TABLES = """
CREATE TABLE IF NOT EXISTS bookings (
    event_id TEXT, merchant TEXT, payment_id TEXT, order_id TEXT,
    kind TEXT CHECK (kind IN ('paid', 'refunded', 'charged_back')),
    value INTEGER, currency TEXT, PRIMARY KEY (event_id, kind, currency)
);
CREATE INDEX IF NOT EXISTS bookings_of_payment ON bookings (merchant, payment_id, kind);
"""

_PAID = {"captured", "partially_refunded", "refunded", "charged_back"}

#: What is to be booked in total, by kind and currency, in the currency's minor unit.
Totals = Mapping[tuple[str, str], int]


def totals(event: dict[str, Any]) -> Totals | None:
    """The totals to be booked for the payment; None if nobody knows them, so that what is booked stays."""
    if event["status"] == "unknown":
        return None
    if event["status"] not in _PAID:
        return {}
    nothing: dict[str, Any] = {"value": 0, "currency": None}
    paid = event["paid"] or event["amount"] or nothing
    # only settled refunds: what is under way (``refunding``) may still be cancelled
    refunded = event["refunded"] or (paid if event["status"] == "refunded" else nothing)
    charged_back = event.get("charged_back") or nothing
    if event["status"] == "charged_back" and charged_back is nothing:
        # a chargeback without an amount takes all that is left
        gone = refunded["value"] if refunded["currency"] == paid["currency"] else 0
        charged_back = {**paid, "value": paid["value"] - gone}
    kinds = {"paid": paid, "refunded": refunded, "charged_back": charged_back}
    return {(kind, money["currency"]): money["value"] for kind, money in kinds.items() if money["value"]}


def book(database: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Book the differences."""
    wanted = totals(event)
    if wanted is None:
        return
    booked = {
        (kind, currency): value
        for kind, currency, value in database.execute(
            "SELECT kind, currency, sum(value) FROM bookings WHERE merchant = ? AND payment_id = ? "
            "GROUP BY kind, currency ORDER BY min(rowid)",
            (event["merchant"], event["payment_id"]),
        )
    }
    for kind, currency in dict.fromkeys((*wanted, *booked)):
        difference = wanted.get((kind, currency), 0) - booked.get((kind, currency), 0)
        if difference:
            database.execute(
                "INSERT INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    event["event_id"],
                    event["merchant"],
                    event["payment_id"],
                    event["order_id"],
                    kind,
                    difference,
                    currency,
                ),
            )


if __name__ == "__main__":
    sys.exit(main("erp", TABLES, book))
