"""The effect of an event in the example: an ERP books payments, refunds and chargebacks. Free to copy.

A booking is the difference between the event's total and what is booked already. It is therefore right for any
sequence of statuses. A total that falls is booked with a negative value: a reversal, as after an operator's correction.
"""

from typing import Any

import psycopg

TOOK_MONEY = {"captured", "partially_refunded", "refunded", "charged_back"}


def totals(event: dict[str, Any]) -> dict[tuple[str, str], int] | None:
    """What is to be booked in total, by kind and currency; None if nobody knows, so that what is booked stays."""
    if event["status"] == "unknown":
        return None
    if event["status"] not in TOOK_MONEY:
        return {}
    paid = event["paid"] or event["amount"] or {"value": 0, "currency": None}
    nothing = {"value": 0, "currency": paid["currency"]}
    # only settled refunds: what is under way (`refunding`) may still be cancelled
    refunded = event["refunded"] or (paid if event["status"] == "refunded" else nothing)
    charged_back = event.get("charged_back") or nothing
    if event["status"] == "charged_back" and not event.get("charged_back"):
        # a chargeback without an amount takes all that is left
        gone = refunded["value"] if refunded["currency"] == paid["currency"] else 0
        charged_back = {**paid, "value": paid["value"] - gone}
    kinds = {"paid": paid, "refunded": refunded, "charged_back": charged_back}
    return {(kind, money["currency"]): money["value"] for kind, money in kinds.items() if money["value"]}


def book(database: psycopg.Connection[tuple[Any, ...]], event: dict[str, Any]) -> None:
    """Book the differences, within the caller's transaction."""
    wanted = totals(event)
    if wanted is None:
        return
    payment = (event["merchant"], event["payment_id"])
    rows = database.execute(
        "SELECT kind, currency, sum(value) FROM bookings WHERE (merchant, payment_id) = (%s, %s) GROUP BY 1, 2", payment
    )
    booked = {(kind, currency): int(value) for kind, currency, value in rows}
    for kind, currency in sorted(wanted.keys() | booked.keys()):
        difference = wanted.get((kind, currency), 0) - booked.get((kind, currency), 0)
        if difference:
            database.execute(
                "INSERT INTO bookings VALUES (%s, %s, %s, %s, %s, %s)",
                (event["event_id"], kind, *payment, difference, currency),
            )
