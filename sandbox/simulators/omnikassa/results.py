"""What the simulated bank says about an order: on a page of results, and at the endpoint for single orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.omnikassa.settings import OddKind, OrderStatus

#: What an odd result has instead.
_ODD: Final[dict[OddKind, dict[str, Any]]] = {
    "": {},
    "foreign": {"poiId": "999999"},
    "no_id": {"omnikassaOrderId": None},
    "no_amount": {"totalAmount": None},
    "surrogate": {"merchantOrderId": "A-\ud800-1"},
    "huge_amount": {"totalAmount": {"currency": "EUR", "amount": 10**400}},
}


@dataclass(slots=True)
class SimulatedOrder:
    """One order with its attempts to pay. ``odd`` is what is wrong with its result."""

    truth: Truth
    status: OrderStatus
    brand: str
    transactions: list[dict[str, Any]]
    changed_at: str
    odd: OddKind = ""


def result(order: SimulatedOrder, poi_id: int, *, with_transactions: bool) -> dict[str, Any]:
    """The order on a page of results."""
    truth = order.truth
    content: dict[str, Any] = {
        "merchantOrderId": truth.order_id,
        "omnikassaOrderId": truth.payment_id,
        "poiId": str(poi_id),
        "orderStatus": order.status,
        "orderStatusDateTime": order.changed_at,
        "errorCode": "",
        "paidAmount": {"currency": truth.currency, "amount": str(truth.paid)},
        "totalAmount": {"currency": truth.currency, "amount": str(truth.amount)},
    }
    if with_transactions:
        content["transactions"] = order.transactions
    return {**content, **_ODD[order.odd]}


def told_order(order: SimulatedOrder) -> dict[str, Any]:
    """The order at the endpoint for single orders, which signs nothing and knows no paid amount."""
    amount = {"currency": order.truth.currency, "amount": order.truth.amount}
    return {
        "id": order.truth.payment_id,
        "merchantOrderId": order.truth.order_id,
        "status": order.status,
        "totalAmount": amount,
        "transactions": [
            {
                "id": one["id"],
                "paymentBrand": one["paymentBrand"],
                "type": one["type"],
                "status": one["status"],
                "createdAt": one["startTime"],
                "lastUpdatedAt": one["lastUpdateTime"],
                "amount": amount,
            }
            for one in order.transactions
        ],
    }
