"""Rabo Smart Pay's v3 webhooks as the bank's developer pages describe them: signed events, repeated for 24 days."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec

from paynotify.sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse, json_reply
from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing
from paynotify.sandbox.simulators.smartpay.settings import (
    Algorithm,
    EventOrderChange,
    EventOrderStatus,
    KeyChange,
    NewEventOrder,
    SmartPaySettings,
    SmartPayShop,
)
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError
from paynotify.schemas.status import Status

KEY_SET_PATH: Final = "/.well-known/jwks.json"
#: What stands for the bank's keys where the control API wants a payment's id.
KEY_SET: Final = "key-set"
_TYPE: Final = "order.status.finalized/v1"
_ACKNOWLEDGED: Final = b"ack"

_STATUS: Final[dict[EventOrderStatus, Status]] = {
    "IN_PROGRESS": "pending",
    "COMPLETED": "captured",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}


@dataclass(slots=True)
class _Order:
    """One order, and when it became final."""

    truth: Truth
    status: EventOrderStatus
    final_at_seconds: float = 0.0


class SmartPaySimulator(Simulator[SmartPaySettings]):
    """Orders become final; each subscription is told once, and again until it acknowledges."""

    provider = "smartpay"
    acknowledge_within_seconds = 30.0

    def __init__(self, settings: SmartPaySettings) -> None:
        super().__init__(settings)
        # the ids of another simulated bank with the same seed would be the same
        self.chance.seed(f"{self.provider} {settings.seed}")
        self.keys = KeyRing()
        self.keys.signing(settings.algorithm)
        self._shops = {shop.merchant: shop for shop in settings.shops}
        self._orders: dict[str, _Order] = {}
        self._tokens: dict[str, tuple[SmartPayShop, float]] = {}
        self._unacknowledged: dict[str, int] = {}

    def start(self) -> None:
        """Publish a key of every algorithm, before anybody can fetch the set: making one takes a moment."""
        for algorithm in get_args(Algorithm):
            self.keys.signing(algorithm)

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        new = msgspec.convert(order, NewEventOrder)
        shop = self._shops.get(new.merchant) or next(iter(self._shops.values()))
        if new.merchant and new.merchant != shop.merchant:
            raise ProviderRefusedError("refused", f"no shop {new.merchant}")
        truth = Truth(
            payment_id=str(self.new_uuid()),
            merchant=shop.merchant,
            order_id=new.order_id,
            status="pending",
            amount=new.amount,
            currency=new.currency,
        )
        opened = _Order(truth, "IN_PROGRESS")
        if new.odd in ("", "twice", "unknown_status"):
            self.book.open(truth)
            self._orders[truth.payment_id] = opened
        if new.status != "IN_PROGRESS":
            self._finish(opened, new.status, new)
        return {"payment_id": truth.payment_id}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        if payment_id == KEY_SET:
            self._change_keys(msgspec.convert(change, KeyChange))
            return {}
        order = self._orders.get(payment_id)
        if order is None:
            raise ProviderRefusedError("refused", f"no order {payment_id}")
        new = NewEventOrder(merchant=order.truth.merchant, order_id=order.truth.order_id, amount=order.truth.amount)
        self._finish(order, msgspec.convert(change, EventOrderChange).status, new)
        return {"payment_id": payment_id}

    def _change_keys(self, change: KeyChange) -> None:
        if change.rotate is not None:
            self.keys.rotate(change.rotate)
        if change.twin is not None:
            self.keys.twin(change.twin)
        if change.retire:
            self.keys.retire()
        self.keys.kind = change.publish or self.keys.kind

    def _finish(self, order: _Order, status: EventOrderStatus, new: NewEventOrder) -> None:
        order.status, order.final_at_seconds = status, time.monotonic()
        order.truth.paid = order.truth.amount if status == "COMPLETED" else 0
        order.truth.becomes(_STATUS[status])
        if status == "IN_PROGRESS":
            return
        shop = self._shops[order.truth.merchant]
        subscriptions: Sequence[str] = shop.subscription_ids if new.odd == "twice" else shop.subscription_ids[:1]
        event_id = f"evt_{self.new_uuid().hex[:22].upper()}"
        for subscription_id in subscriptions:
            self._announce(shop, self._event(order, event_id, subscription_id, new), new)

    def _event(self, order: _Order, event_id: str, subscription_id: str, new: NewEventOrder) -> dict[str, Any]:
        foreign = f"wsb_{self.new_uuid().hex[:20].upper()}"
        kind = {"test": "test/v1", "unknown_type": "mandate.created/v1"}.get(new.odd, _TYPE)
        event: dict[str, Any] = {
            **self.settings.planted,
            "id": event_id,
            "type": kind,
            "subscription": {"id": foreign if new.odd == "foreign" else subscription_id, "description": "webshop"},
            "timestamp": int(time.time()),
        }
        if kind != _TYPE:
            return {**event, "data": {}}
        word = "settling" if new.odd == "unknown_status" else order.status.lower()
        amount = {"total": order.truth.amount, "paid": order.truth.paid}
        data = {"orderId": order.truth.payment_id, "status": word, "amount": amount, "metadata": "basket-1"}
        return {**event, "data": data}

    # --- the event -----------------------------------------------------------------------------------------

    def _announce(self, shop: SmartPayShop, event: dict[str, Any], new: NewEventOrder) -> None:
        """The event, signed once: every repeat has the same bytes."""
        body = json.dumps(event, indent=4).encode()
        algorithm = new.algorithm or self.settings.algorithm
        key = self.keys.unpublished(algorithm) if new.odd == "unpublished" else self.keys.signing(algorithm)
        signature = key.sign(body)
        delivery = Delivery(
            merchant=shop.merchant,
            body=body.replace(b'"completed"', b'"cancelled"') if new.odd == "changed" else body,
            content_type="application/rabo-smartpay-webhook-v3+json",
            about=str(event.get("data", {}).get("orderId", "")),
            headers={
                "X-SmartPay-Signature": signature,
                "X-SmartPay-Event-Type": event["type"],
                "X-SmartPay-Event-Id": event["id"],
            },
            done=lambda delivery, status: self._delivered(shop, delivery, status),
        )
        self.book.counters["events"] += 1
        self.webhooks.send(delivery, after_seconds=self.scaled(self.settings.event_delay_seconds))

    def _delivered(self, shop: SmartPayShop, delivery: Delivery, status: int | None) -> None:
        """Acknowledged by 200 with ``ack``; any other 1xx to 3xx is a wrong configuration, and the event is lost."""
        if status == 200 and delivery.answer == _ACKNOWLEDGED:
            self._unacknowledged[shop.merchant] = 0
            self.book.counters["events.acknowledged"] += 1
            return
        self._unacknowledged[shop.merchant] = self._unacknowledged.get(shop.merchant, 0) + 1
        if self.settings.disable_after is not None:
            shop.disabled = shop.disabled or self._unacknowledged[shop.merchant] >= self.settings.disable_after
        if status is not None and status < 400:
            self.book.violation("answer without ack", shop.merchant)
            self.book.counters["events.lost"] += 1
        elif shop.disabled or delivery.attempts > self.settings.repeats:
            self.book.counters["events.given_up"] += 1
        else:
            wait_seconds = self.settings.first_repeat_seconds * 2 ** (delivery.attempts - 1)
            self.webhooks.again(delivery, after_seconds=self.scaled(wait_seconds))

    # --- the bank's own API --------------------------------------------------------------------------------

    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        if request.method != "GET":
            return json_reply(405, {"errorCode": 5000, "errorMessage": "Method not allowed"})
        if request.path == KEY_SET_PATH:
            self.book.counters["key_sets"] += 1
            return SimulatorResponse(200, self.keys.document(), "application/jwk-set+json")
        if request.path.endswith("/gatekeeper/refresh"):
            return self._refresh(request)
        if request.path.startswith("/v2/orders/") and self.settings.order_call:
            return self._order(request)
        return _NOT_FOUND

    def _refresh(self, request: SimulatorRequest) -> SimulatorResponse:
        offered = request.bearer().encode()
        for shop in self._shops.values():
            if shop.refresh_token and hmac.compare_digest(shop.refresh_token.encode(), offered):
                seconds = self.scaled(self.settings.token_seconds)
                token = self.new_uuid().hex
                self._tokens[token] = shop, time.monotonic() + seconds
                return json_reply(200, {"token": token, "durationInMillis": max(1, int(seconds * 1000))})
        return _UNAUTHENTICATED

    def _order(self, request: SimulatorRequest) -> SimulatorResponse:
        self.book.counters["order_lookups"] += 1
        shop, until_seconds = self._tokens.get(request.bearer(), (None, 0.0))
        if shop is None or until_seconds <= time.monotonic():
            return _UNAUTHENTICATED
        order = self._orders.get(request.path.rpartition("/")[2])
        if order is None or order.truth.merchant != shop.merchant or self._forgotten(order):
            return _NOT_FOUND
        amount = {"currency": order.truth.currency, "amount": order.truth.amount}
        told = {
            "id": order.truth.payment_id,
            "merchantOrderId": order.truth.order_id,
            "status": order.status,
            "totalAmount": amount,
        }
        return json_reply(200, {"order": told})

    def _forgotten(self, order: _Order) -> bool:
        kept_seconds = self.scaled(self.settings.keeps_orders_seconds)
        return order.status != "IN_PROGRESS" and time.monotonic() - order.final_at_seconds > kept_seconds


_UNAUTHENTICATED: Final = json_reply(
    401, {"errorCode": 5001, "errorMessage": "Full authentication is required to access this resource"}
)
_NOT_FOUND: Final = json_reply(404, {"errorCode": 5404, "errorMessage": "Not found"})
