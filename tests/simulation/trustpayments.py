"""Trust Payments as its documents describe it, small: it answers from the plan and the time.

It tells of requests, and not of what happens at night. Shares no code with the product.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tests.simulation.gateways import CURRENCY, day_of, stamp
from tests.simulation.plan import Call, Payment, Plan
from tests.simulation.timeline import Timeline
from tests.simulation.wire import Answered

PASSWORD: Final = "notification-password"


class TrustPayments:
    """Answers TRANSACTIONQUERY; hashes its notifications. It tells of requests, not of what happens at night."""

    def __init__(self, loop: Timeline, plan: Plan) -> None:
        self._loop = loop
        mine = [one for one in plan.payments if one.provider == "trustpayments"]
        self._by_id = {one.payment_id: one for one in mine}
        self._by_order = {one.order_id: one for one in mine}

    def call(self, payment: Payment, call: Call) -> bytes:
        """The form of a notification, as it left for the first time."""
        _, word = payment.changes[call.change]
        child = _CHILDREN.get(word)
        code, settled = _TRUST.get(word, _SETTLED)
        fields = {
            "transactionreference": _child(payment) if child else payment.payment_id,
            "orderreference": payment.order_id,
            "sitereference": f"site-{payment.merchant}",
            "errorcode": code,
            "settlestatus": child.settlestatus if child else settled,
            "notificationreference": f"57-{payment.number}-{call.change}",
        }
        return _form(fields)

    def refused(self, number: int, merchant: str) -> bytes:
        """The form of a notification of a transaction for which every query is refused."""
        fields = {
            "transactionreference": f"57-9-{number}{REFUSED}",
            "orderreference": f"ORD-{number}",
            "sitereference": f"site-{merchant}",
            "errorcode": "0",
            "settlestatus": "0",
            "notificationreference": f"57-{number}-0",
        }
        return _form(fields)

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answered:
        question = orjson.loads(content or b"")
        (asked,) = question["request"]
        references = [one["value"] for one in asked["filter"].get("transactionreference", ())]
        if any(one.endswith(REFUSED) for one in references):
            response: dict[str, Any] = {
                "errorcode": "30000",
                "errordata": ["transactionreference"],
                "requesttypedescription": "ERROR",
            }
        else:
            response = self._found(asked["filter"], references)
        answer = {"requestreference": asked["requestreference"], "version": "1.00", "response": [response]}
        return Answered(200, orjson.dumps(answer), "application/json")

    def _found(self, wanted: Mapping[str, Any], references: Iterable[str]) -> dict[str, Any]:
        site = wanted["sitereference"][0]["value"]
        found: list[dict[str, str]] = []
        for reference in references:
            payment = self._by_id.get(reference) or self._by_id.get(reference[:-1] + "0")
            found += [record for record in self._records(payment, site) if record["transactionreference"] == reference]
        for one in wanted.get("orderreference", ()):
            found += self._records(self._by_order.get(one["value"]), site)
        response: dict[str, Any] = {
            "errorcode": "0",
            "requesttypedescription": "TRANSACTIONQUERY",
            "found": str(len(found)),
            "transactionstartedtimestamp": stamp(self._loop.now)[:19].replace("T", " "),
        }
        return {**response, "records": found} if found else response

    def _records(self, payment: Payment | None, site: str) -> Iterable[dict[str, str]]:
        if payment is None or site != f"site-{payment.merchant}" or self._loop.now < payment.visible_from:
            return
        word = payment.word_at(self._loop.now)
        if word is None:
            return
        code, settled = _TRUST.get(word, _SETTLED)
        day = day_of(payment.changes[0][0])
        common = {
            "orderreference": payment.order_id,
            "sitereference": site,
            "currencyiso3a": CURRENCY,
            "paymenttypedescription": "VISA",
            "accounttypedescription": "ECOM",
            "authmethod": "FINAL",
            "settleduedate": day,
            "transactionstartedtimestamp": f"{day} 12:00:00",
        }
        child = _CHILDREN.get(word)
        if child is not None:
            amount = str(round(payment.amount * child.share))
            yield {
                **common,
                "requesttypedescription": child.kind,
                "transactionreference": _child(payment),
                "parenttransactionreference": payment.payment_id,
                "accounttypedescription": child.account,
                "errorcode": "0",
                "settlestatus": child.settlestatus,
                "baseamount": amount,
                "settlebaseamount": amount,
            }
        yield {
            **common,
            "requesttypedescription": "AUTH",
            "transactionreference": payment.payment_id,
            "errorcode": code,
            "settlestatus": settled,
            "baseamount": str(payment.amount),
            "settlebaseamount": str(payment.amount),
        }


@dataclass(frozen=True, slots=True)
class _ChildRecord:
    """A request about a payment: its kind, its share of the amount, its settle status and account."""

    kind: str
    share: float
    settlestatus: str = "100"
    account: str = "ECOM"


_TRUST: Final[Mapping[str, tuple[str, str]]] = {
    "authorised": ("0", "0"),
    "suspended": ("0", "2"),
    "captured": ("0", "100"),
    "declined": ("70000", "0"),
    "cancelled": ("0", "3"),
}
_SETTLED: Final = ("0", "100")
_CHILDREN: Final[Mapping[str, _ChildRecord]] = {
    "refund accepted": _ChildRecord("REFUND", 1.0, "0"),
    "refunded": _ChildRecord("REFUND", 1.0),
    "part refund accepted": _ChildRecord("REFUND", 0.5, "0"),
    "partially_refunded": _ChildRecord("REFUND", 0.5),
    "part refund cancelled": _ChildRecord("REFUND", 0.5, "3"),
    "charged_back": _ChildRecord("CHARGEBACK", 1.0),
    "paid out": _ChildRecord("REFUND", 2.0, "0", "CFT"),
}
#: How the references end for which the gateway refuses every query.
REFUSED: Final = "9"


def _child(payment: Payment) -> str:
    return payment.payment_id[:-1] + "1"


def _form(fields: dict[str, str]) -> bytes:
    """A notification with its hash. Nothing in it has to be quoted."""
    text = "".join(fields[name] for name in sorted(fields) if name != "notificationreference") + PASSWORD
    fields = {**fields, "responsesitesecurity": hashlib.sha256(text.encode()).hexdigest()}
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()
