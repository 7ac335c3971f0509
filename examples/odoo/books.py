"""Which event leads to which record of Odoo. Doing an event again changes nothing. Free to copy."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from odoo import Odoo, OdooError

Event = Mapping[str, Any]
Record = dict[str, Any]

TOOK_MONEY = {"captured", "partially_refunded", "refunded", "charged_back"}
NO_MONEY = {"pending", "authorised", "suspended", "declined", "cancelled", "expired", "failed"}
DIRECTIONS = {"paid": "inbound", "refunded": "outbound", "charged_back": "outbound"}

#: Digits after the point where they are not two, by ISO 4217. Odoo's own may differ: its forint has none.
DIGITS = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
}


@dataclass(frozen=True)
class Books:
    """The books of one company."""

    odoo: Odoo
    journal_id: int
    """Of the provider: a journal of type bank. The payout to your account clears it."""

    def apply(self, event: Event) -> None:
        """Book what came and went back, then tell the warehouse.

        Raises:
            OdooError: also where money came for an order that Odoo does not know.
        """
        wanted = totals(event)
        order = self._order(event["order_id"]) if event["order_id"] else None
        if order is not None:
            if wanted is not None:
                self._book(event, order, wanted)
            self._move_goods(event, order)
        elif wanted or event["fulfilment"] == "release":
            raise OdooError(f"no sales order {event['order_id']!r}, although {event['payment_id']} paid it")

    def _order(self, order_id: str) -> Record | None:
        domain = [["client_order_ref", "=", order_id]]
        fields = ["state", "partner_id"]
        found = self.odoo.call("sale.order", "search_read", domain=domain, fields=fields, limit=1)
        return found[0] if found else None

    def _book(self, event: Event, order: Record, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        place = f"{event['merchant']}/{event['payment_id']}"
        fields = ["memo", "amount", "state"]
        found = self.odoo.call(
            "account.payment", "search_read", domain=[["memo", "=like", f"{place} %"]], fields=fields
        )
        for kind, direction in DIRECTIONS.items():
            # `_` and `%` in an id stand for anything, so Odoo may have found more
            booked = {one["memo"]: one for one in found if one["memo"].startswith(f"{place} {kind} ")}
            mine = f"{place} {kind} {event['sequence']}"
            if mine in booked:  # a crash came between the two calls, or after both
                if booked[mine]["state"] == "draft":
                    self.odoo.call("account.payment", "action_post", ids=[booked[mine]["id"]])
                continue
            total = wanted.get(kind)
            amount = (major(total) if total else Decimal(0)) - sum(
                Decimal(str(one["amount"])) for one in booked.values()
            )
            if amount > 0 and total:
                self._register(mine, direction, amount, total["currency"], order, event["observed_at"][:10])
            elif amount < 0:
                self._say(order, f"{mine}: fell by {-amount}, reverse the booking")

    def _register(self, memo: str, direction: str, amount: Decimal, currency: str, order: Record, date: str) -> None:
        (found,) = self.odoo.call("res.currency", "search_read", domain=[["name", "=", currency]], fields=["name"])
        values = {
            "payment_type": direction,
            "partner_type": "customer",
            "partner_id": order["partner_id"][0],
            "journal_id": self.journal_id,
            "currency_id": found["id"],
            "amount": float(amount),  # a number is all that JSON has; up to 15 digits it stays exact
            "date": date,
            "memo": memo,
        }
        ids = self.odoo.call("account.payment", "create", vals_list=[values])
        self.odoo.call("account.payment", "action_post", ids=ids)

    def _move_goods(self, event: Event, order: Record) -> None:
        """Confirming a quotation makes its delivery, which is what the warehouse sees."""
        waits = order["state"] in {"draft", "sent"}
        if event["fulfilment"] == "release" and waits:
            self.odoo.call("sale.order", "action_confirm", ids=[order["id"]])
        elif event["fulfilment"] != "release" and not waits:
            # goods may be on their way, and another payment may have paid the order: a person decides
            place = f"{event['merchant']}/{event['payment_id']} {event['sequence']}"
            self._say(order, f"{place}: {event['fulfilment']}, the payment is {event['status']}")

    def _say(self, order: Record, text: str) -> None:
        domain = [["model", "=", "sale.order"], ["res_id", "=", order["id"]], ["body", "ilike", text]]
        if not self.odoo.call("mail.message", "search_count", domain=domain):
            self.odoo.call("sale.order", "message_post", ids=[order["id"]], body=text)


def totals(event: Event) -> Mapping[str, Mapping[str, Any]] | None:
    """What is to be booked in total, by kind; None if nobody knows, so that what is booked stays."""
    if event["status"] in NO_MONEY:
        return {}
    if event["status"] not in TOOK_MONEY:
        return None  # `unknown`, or a word of a later release
    paid = event["paid"] or event["amount"]
    found = {"paid": paid, "refunded": event["refunded"], "charged_back": event.get("charged_back")}
    if event["status"] == "refunded" and not found["refunded"]:
        found["refunded"] = paid
    if event["status"] == "charged_back" and not found["charged_back"]:
        gone = event["refunded"]["value"] if event["refunded"] else 0
        found["charged_back"] = {**paid, "value": paid["value"] - gone}  # it takes all that is left
    return {kind: money for kind, money in found.items() if money and money["value"]}


def major(money: Mapping[str, Any]) -> Decimal:
    """10.50 for 1050 pence, exactly."""
    return Decimal(money["value"]).scaleb(-DIGITS.get(money["currency"], 2))
