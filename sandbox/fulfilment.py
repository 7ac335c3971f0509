"""An example warehouse: releases, holds or stops goods. Run it as ``python -m paynotify.sandbox.fulfilment``.

The demo's, on SQLite; ``examples/postgres/goods.py`` is the one to copy.

It follows the event's ``fulfilment``. Goods leave once per order, with the first of its payments that may release
them, unless a payment is a part of its order or a later one of a subscription: it has goods of its own. An event does
not say that its order was registered for several payments: a shop that does so knows it, and sends by payment there
too. A stop after a release is a recall, which needs a person.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from paynotify.sandbox.consumer import main

TABLES = """
CREATE TABLE IF NOT EXISTS parcels (
    merchant TEXT, payment_id TEXT, order_id TEXT, state TEXT CHECK (state IN ('release', 'hold', 'stop')),
    released_by TEXT, recalled_by TEXT, PRIMARY KEY (merchant, payment_id)
);
CREATE TABLE IF NOT EXISTS decisions (event_id TEXT PRIMARY KEY, merchant TEXT, payment_id TEXT, state TEXT);
"""


def decide(database: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Apply the event's decision; the first release and the first recall are stored with their events."""
    payment = (event["merchant"], event["payment_id"])
    state, event_id = event["fulfilment"], event["event_id"]
    database.execute("INSERT INTO decisions VALUES (?, ?, ?, ?)", (event_id, *payment, state))
    database.execute(
        "INSERT INTO parcels VALUES (?, ?, ?, 'hold', NULL, NULL) ON CONFLICT DO NOTHING", (*payment, event["order_id"])
    )
    of_payment = "WHERE merchant = ? AND payment_id = ?"
    database.execute(f"UPDATE parcels SET state = ? {of_payment}", (state, *payment))
    has_own_goods = event.get("order_role", "whole") != "whole"
    if state == "release" and (has_own_goods or not _left_already(database, event)):
        database.execute(
            f"UPDATE parcels SET released_by = coalesce(released_by, ?) {of_payment}", (event_id, *payment)
        )
    if state == "stop":
        database.execute(
            f"UPDATE parcels SET recalled_by = coalesce(recalled_by, ?) {of_payment} AND released_by IS NOT NULL",
            (event_id, *payment),
        )


def _left_already(database: sqlite3.Connection, event: dict[str, Any]) -> bool:
    """Whether the order's goods were released for another payment."""
    released = "SELECT 1 FROM parcels WHERE merchant = ? AND order_id = ? AND payment_id <> ? AND released_by NOT NULL"
    found = database.execute(released, (event["merchant"], event["order_id"], event["payment_id"])).fetchone()
    return found is not None


if __name__ == "__main__":
    sys.exit(main("fulfilment", TABLES, decide))
