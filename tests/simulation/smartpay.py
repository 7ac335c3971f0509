"""Rabo Smart Pay's signed events as the bank's pages describe them, small: keys, events and orders, from the plan.

Shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tests.simulation.bank_keys import curve_key, rsa_key
from tests.simulation.broker import EPOCH_SECONDS, Headers
from tests.simulation.plan import Garbage, Payment, Plan
from tests.simulation.timeline import Timeline
from tests.simulation.wire import Answered

#: How a subscription's id begins; it ends with its shop's.
SUBSCRIPTION: Final = "wsb_"
#: What each shop takes for the truth.
TRUTHS: Final[Mapping[str, str]] = {"shop-nl-v3": "order", "shop-be-v3": "event"}
ORDER_TYPE: Final = "order.status.finalized/v1"

_RSA: Final = "rs256"
_UNPUBLISHED: Final = "es256-of-nobody"
#: So often an event is signed with the key for RS256, which takes longer, and says what the older pages don't.
_RSA_EVERY: Final = 8
_UNCLEAR_EVERY: Final = 11
_FINAL: Final = {"captured": "completed", "cancelled": "cancelled", "expired": "expired"}


@dataclass(frozen=True, slots=True)
class SignedEvent:
    """An event as it is sent, and sent again."""

    body: bytes
    headers: Headers


class SmartPay:
    """Signs each event once; publishes keys; tells of orders to the shop that they are of."""

    def __init__(self, loop: Timeline, plan: Plan) -> None:
        self._loop = loop
        self._rotations = plan.rotations
        self._by_id = {one.payment_id: one for one in plan.payments if one.provider == "smartpay"}
        self._events: dict[int, SignedEvent] = {}

    def event(self, payment: Payment) -> SignedEvent:
        """The payment's only event: of it all copies have the same bytes."""
        made = self._events.get(payment.number)
        if made is None:
            made = self._events[payment.number] = self._made(payment)
        return made

    def _made(self, payment: Payment) -> SignedEvent:
        ((at, word),) = payment.changes
        paid = payment.amount if word == "captured" else 0
        data = {
            "orderId": payment.payment_id,
            "status": "settling" if _is_unclear(payment) else _FINAL[word],
            "amount": {"total": payment.amount, "paid": paid},
        }
        body = _body(f"evt_{payment.number}", ORDER_TYPE, payment.merchant, at, data)
        by_rsa = payment.number % _RSA_EVERY == 0
        return _signed(body, _RSA if by_rsa else self._signing(at))

    def odd_event(self, garbage: Garbage) -> SignedEvent:
        """A signed event that is about no order of the shop, or should not count."""
        data = {"orderId": foreign_order(garbage), "status": "completed", "amount": {"total": 100, "paid": 100}}
        kind = "test/v1" if garbage.kind == "test" else ORDER_TYPE
        shop = "another-shop" if garbage.kind == "foreign" else garbage.merchant
        body = _body(f"evt_{garbage.kind}_{garbage.number}", kind, shop, garbage.at, data)
        event = _signed(body, _UNPUBLISHED if garbage.kind == "unpublished" else self._signing(garbage.at))
        if garbage.kind == "changed":
            return SignedEvent(body.replace(b"100", b"999"), event.headers)
        return event

    def _signing(self, at: float) -> str:
        """The id of the key that signs at that time."""
        return f"es256-{sum(one.signs_from <= at for one in self._rotations)}"

    # --- what it answers ----------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answered:
        if url.endswith("/jwks.json"):
            return Answered(200, self._key_set(), "application/jwk-set+json")
        authorization = headers.get("Authorization", "").removeprefix("Bearer ")
        if url.endswith("/gatekeeper/refresh"):
            token = authorization.replace("refresh-", "access-")
            return Answered(200, orjson.dumps({"token": token, "durationInMillis": 3_600_000}))
        return self._order(url.rpartition("/")[2], authorization)

    def _key_set(self) -> bytes:
        """All keys that are published by now, of which none is ever taken back."""
        numbers = [number for number, one in enumerate(self._rotations, 1) if one.published_at <= self._loop.now]
        curves = [curve_key(f"es256-{number}").public for number in (0, *numbers)]
        return orjson.dumps({"keys": [one.public() for one in (*curves, rsa_key(_RSA))]})

    def _order(self, name: str, token: str) -> Answered:
        payment = self._by_id.get(name)
        if payment is None or not payment.changes or token != f"access-{payment.merchant}":
            return Answered(404, b'{"errorCode":5404}')
        # of what its event does not say the bank always knows: the product asks for it only once
        if self._loop.now < payment.visible_from and not _is_unclear(payment):
            return Answered(404, b'{"errorCode":5404}')
        word = payment.word_at(self._loop.now)
        order = {
            "id": name,
            "merchantOrderId": payment.order_id,
            "status": _FINAL[word].upper() if word else "IN_PROGRESS",
            "totalAmount": {"currency": "EUR", "amount": payment.amount},
        }
        return Answered(200, orjson.dumps({"order": order}))


def foreign_order(garbage: Garbage) -> str:
    """The order that an odd event names, which is none of the shop's."""
    return f"00000000-0000-4000-8000-{garbage.number:012d}"


def _is_unclear(payment: Payment) -> bool:
    return payment.number % _UNCLEAR_EVERY == 0


def _body(event_id: str, kind: str, shop: str, at: float, data: Mapping[str, Any]) -> bytes:
    event = {
        "id": event_id,
        "type": kind,
        "subscription": {"id": f"{SUBSCRIPTION}{shop}"},
        "timestamp": int(EPOCH_SECONDS + at),
        "data": data,
    }
    return orjson.dumps(event, option=orjson.OPT_INDENT_2)


def _signed(body: bytes, kid: str) -> SignedEvent:
    """The event with its headers, signed with plain cryptography."""
    key = rsa_key(kid) if kid == _RSA else curve_key(kid)
    event = orjson.loads(body)
    named = {"signature": key.sign(body), "event-type": event["type"], "event-id": event["id"]}
    return SignedEvent(body, tuple((f"x-smartpay-{name}", value.encode()) for name, value in named.items()))
