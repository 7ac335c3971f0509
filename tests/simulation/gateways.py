"""The providers as their documents describe them, small: each answers from the plan and the time, and keeps count.

Shares no code with the product: what is signed, and which words stand for what, is written here once more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from tests.simulation.broker import EPOCH_SECONDS
from tests.simulation.plan import MERCHANTS, Call, Payment, Plan
from tests.simulation.recurring import Recurring
from tests.simulation.timeline import Timeline
from tests.simulation.wire import Answered

SIGNING_KEY: Final = base64.b64encode(b"signing-key-of-the-simulation").decode()
CURRENCY: Final = "EUR"
EVENT: Final = "merchant.order.status.changed"
_PAGE_ORDERS: Final = 20
#: So often a page has an order of another shop, and which.
_FOREIGN_EVERY: Final = 9
FOREIGN: Final = "9999"
_TOKEN_SECONDS: Final = 60.0


def stamp(seconds: float) -> str:
    """Seconds of the simulation as an instant."""
    return datetime.fromtimestamp(EPOCH_SECONDS + seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


#: How long a day of the gateways lasts.
DAY_SECONDS: Final = 60.0
FIRST_DAY: Final = stamp(0.0)


def day_of(seconds: float) -> str:
    """The gateways' date."""
    return str(date.fromisoformat(FIRST_DAY[:10]) + timedelta(days=int(seconds // DAY_SECONDS)))


class Nevogate:
    """Answers Result and Details; counts for which call each Result was."""

    def __init__(self, loop: Timeline, plan: Plan) -> None:
        self._loop = loop
        self._by_id = {one.payment_id: one for one in plan.payments if one.provider == "nevogate"}
        self.recurring = Recurring(loop, plan)
        #: How often a Result was asked for, by transaction and by the request's own id.
        self.results: Counter[tuple[str, str]] = Counter()

    def call(self, payment: Payment, call: Call) -> tuple[bytes, str]:
        """Body and query of a call."""
        if call.style == "GET":
            return b"", f"TransactionId={payment.payment_id}"
        return b'{"commonData":{"transactionId":"%b"}}' % payment.payment_id.encode(), ""

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answered:
        form = dict(parse_qsl((content or b"").decode()))
        method, arguments = form["method"], orjson.loads(form["json"])
        store = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().partition(":")[0]
        merchant = store.removeprefix("store-")
        if method == "InitRP":
            return Answered(200, orjson.dumps(self.recurring.init(merchant, arguments)))
        name = arguments["TransactionId"]
        if method == "Result":
            self.results[name, headers["X-Request-Id"]] += 1
        charged = self.recurring.transactions.get(name)
        if charged is not None and charged.merchant == merchant and method in ("StartRP", "Close"):
            start = method == "StartRP"
            said = self.recurring.start(charged) if start else self.recurring.close(charged, arguments)
            return Answered(200, orjson.dumps(said))
        common = self._data(name, merchant)
        if common is None:
            return Answered(200, b'{"ResultCode":"UnknownTransaction"}')
        return Answered(200, orjson.dumps({"CommonData": common} if method == "Details" else common))

    def _data(self, name: str, merchant: str) -> dict[str, str] | None:
        charged = self.recurring.transactions.get(name)
        if charged is not None and charged.merchant == merchant:
            return self.recurring.data(charged)
        payment = self._by_id.get(name)
        word = payment.word_at(self._loop.now) if payment else None
        if payment is None or word is None or payment.merchant != merchant:
            return self.recurring.reference(name)
        return _nevogate(payment, word)


def _nevogate(payment: Payment, word: str) -> dict[str, str]:
    two_step = any(one == "authorised" for _, one in payment.changes)
    code = {
        "captured": "SUCCESSFUL",
        "authorised": "SUCCESSFUL",
        "pending": "PENDING",
        "cancelled": "CANCELED",
        "expired": "TIMEOUT",
        "failed": "ERROR",
    }[word]
    commit = {"authorised": "PENDING", "captured": "APPROVED", "cancelled": "DECLINED"}.get(word, "")
    if two_step and word == "cancelled":
        code = "SUCCESSFUL"  # the hold is released, the payment itself was not called off
    return {
        "TransactionId": payment.payment_id,
        "ResultCode": code,
        "OrderId": payment.order_id,
        "Amount": f"{payment.amount // 100}.{payment.amount % 100:02d}",
        "Currency": CURRENCY,
        "AutoCommit": "false" if two_step else "true",
        "CommitState": commit if two_step else "",
        "Created": f"{day_of(payment.changes[0][0])} 12:00:00",
    }


class OmniKassa:
    """A queue of results for each webshop, each handed over once; pings with tokens; single orders."""

    def __init__(self, loop: Timeline, plan: Plan) -> None:
        self._loop = loop
        mine = [one for one in plan.payments if one.provider == "omnikassa"]
        self._by_id = {one.payment_id: one for one in mine}
        self._queues: dict[str, deque[Payment]] = {merchant: deque() for merchant in MERCHANTS["omnikassa"]}
        self._tokens: dict[str, tuple[str, float]] = {}
        self.handed_over: Counter[str] = Counter()
        for payment in mine:
            for at, _ in payment.changes:
                loop.call_without_process(at, self._queues[payment.merchant].append, payment)

    def waits(self, merchant: str) -> bool:
        """Whether results wait to be pulled."""
        return bool(self._queues[merchant])

    def ping(self, merchant: str) -> bytes:
        """A new notification for the webshop."""
        now = self._loop.now
        token = f"t{len(self._tokens)}.{merchant}.x"
        self._tokens[token] = (merchant, now + _TOKEN_SECONDS)
        expiry, poi_id = stamp(now + _TOKEN_SECONDS), _poi(merchant)
        signature = _signed(f"{token},{expiry},{EVENT},{poi_id}")
        ping = {"authentication": token, "expiry": expiry, "eventName": EVENT, "poiId": poi_id, "signature": signature}
        return orjson.dumps(ping)

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answered:
        if url.endswith("/gatekeeper/refresh"):
            return Answered(200, orjson.dumps({"token": headers["Authorization"][-7:], "durationInMillis": 3_600_000}))
        if "/v2/orders/" in url:
            return self._order(url.rpartition("/")[2])
        merchant, until = self._tokens.get(headers["Authorization"].removeprefix("Bearer "), ("", 0.0))
        if until <= self._loop.now:
            return Answered(401, b'{"errorCode":5001}')
        queue = self._queues[merchant]
        orders = [order for _ in range(min(_PAGE_ORDERS, len(queue))) for order in self._results(queue.popleft())]
        page = {"moreOrderResultsAvailable": bool(queue), "orderResults": orders}
        return Answered(200, orjson.dumps({"signature": _signed(_text(page)), **page}))

    def _results(self, payment: Payment) -> Iterable[dict[str, Any]]:
        """The payment's, and sometimes another shop's before it."""
        result = self._result(payment)
        if payment.number % _FOREIGN_EVERY == 0:
            name = payment.payment_id
            yield {**result, "poiId": FOREIGN, "omnikassaOrderId": name[7::-1] + name[8:]}
        yield result

    def _result(self, payment: Payment) -> dict[str, Any]:
        self.handed_over[payment.payment_id] += 1
        at, word = payment.changes[0]
        paid = payment.amount if word == "captured" else 0
        return {
            "merchantOrderId": payment.order_id,
            "omnikassaOrderId": payment.payment_id,
            "poiId": _poi(payment.merchant),
            "orderStatus": _OMNIKASSA[word],
            "orderStatusDateTime": stamp(at),
            "errorCode": "",
            "paidAmount": {"currency": CURRENCY, "amount": str(paid)},
            "totalAmount": {"currency": CURRENCY, "amount": str(payment.amount)},
            "transactions": [],
        }

    def _order(self, name: str) -> Answered:
        payment = self._by_id.get(name)
        word = payment.word_at(self._loop.now) if payment else None
        if payment is None or not payment.changes:
            return Answered(404, b'{"errorCode":5404}')
        order = {
            "id": name,
            "merchantOrderId": payment.order_id,
            "status": _OMNIKASSA.get(word or "", "IN_PROGRESS"),
            "totalAmount": {"currency": CURRENCY, "amount": payment.amount},
        }
        return Answered(200, orjson.dumps({"order": order}))


_OMNIKASSA: Final = {"captured": "COMPLETED", "cancelled": "CANCELLED", "expired": "EXPIRED"}


def _poi(merchant: str) -> str:
    return {"shop-nl": "2004", "shop-be": "2005"}[merchant]


def _signed(text: str) -> str:
    return hmac.new(base64.b64decode(SIGNING_KEY), text.encode(), hashlib.sha512).hexdigest()


def _text(page: Mapping[str, Any]) -> str:
    parts = [json.dumps(page["moreOrderResultsAvailable"])]
    for order in page["orderResults"]:
        parts += [
            order[name]
            for name in (
                "merchantOrderId",
                "omnikassaOrderId",
                "poiId",
                "orderStatus",
                "orderStatusDateTime",
                "errorCode",
            )
        ]
        for money in (order["paidAmount"], order["totalAmount"]):
            parts += [money["currency"], money["amount"]]
    return ",".join(parts)
