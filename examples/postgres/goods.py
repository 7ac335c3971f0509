"""The effect of an event for a warehouse: the goods of an order leave once, and are recalled. Free to copy.

Goods leave with the first payment of the order that may release them. A part of an order (a parcel, an instalment) and
a later payment of a subscription have goods of their own. If you register orders for several payments, send by payment
there too: the event does not say it. A recall needs a person.
"""

from typing import Any

import psycopg


def move_goods(database: psycopg.Connection[tuple[Any, ...]], event: dict[str, Any]) -> None:
    """Release or recall, within the caller's transaction.

    Payments of one order may be with different consumers. The key of the table lets only one of them release.
    """
    merchant, payment_id, order_id = event["merchant"], event["payment_id"], event["order_id"]
    has_own_goods = order_id is None or event.get("order_role", "whole") != "whole"
    goods = ("payment", payment_id) if has_own_goods else ("order", order_id)
    if event["fulfilment"] == "release":
        database.execute(
            "INSERT INTO shipments (merchant, goods_of, id, payment_id, released_by) VALUES (%s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (merchant, *goods, payment_id, event["event_id"]),
        )
    elif event["fulfilment"] == "stop":
        database.execute(
            "UPDATE shipments SET recalled_by = %s WHERE (merchant, payment_id) = (%s, %s) AND recalled_by IS NULL",
            (event["event_id"], merchant, payment_id),
        )
