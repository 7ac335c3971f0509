"""Rabo OmniKassa as its manual describes it: a signed ping naming no order, a pull that empties a queue."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from paynotify.sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse, json_reply
from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.omnikassa.results import SimulatedOrder, result, told_order
from paynotify.sandbox.simulators.omnikassa.settings import (
    NewOrder,
    OmniKassaSettings,
    OmniKassaShop,
    OrderChange,
    OrderStatus,
)
from paynotify.sandbox.simulators.omnikassa.signature import sign, signed_fields
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError
from paynotify.schemas.status import Status

EVENT: Final = "merchant.order.status.changed"
_PAGE_ORDERS: Final = 100
_KEPT_PAGES: Final = 100_000
_PULL: Final = "/order/server/api/{version}events/results/"
_CET: Final = timezone(timedelta(hours=1))
_RATE_WINDOW_SECONDS: Final = 1.0

_STATUS: Final[dict[str, Status]] = {
    "IN_PROGRESS": "pending",
    "COMPLETED": "captured",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}


@dataclass(slots=True)
class _Webshop:
    """One point of interaction (webshop): its queue of results that were not pulled yet."""

    shop: OmniKassaShop
    queue: deque[SimulatedOrder] = field(default_factory=deque)
    calls: deque[float] = field(default_factory=deque)
    final_seconds: float = 0.0
    pinging: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class _IssuedToken:
    webshop: _Webshop
    key: str
    until_seconds: float


class OmniKassaSimulator(Simulator[OmniKassaSettings]):
    """Orders become final; the shop is pinged until it pulls; pulled results are forgotten."""

    provider = "omnikassa"

    def __init__(self, settings: OmniKassaSettings) -> None:
        super().__init__(settings)
        self._webshops = {shop.merchant: _Webshop(shop) for shop in settings.shops}
        self._orders: dict[str, SimulatedOrder] = {}
        self._pull_tokens: dict[str, _IssuedToken] = {}
        self._access_tokens: dict[str, _IssuedToken] = {}
        self._pages: deque[dict[str, Any]] = deque(maxlen=_KEPT_PAGES)

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        new = msgspec.convert(order, NewOrder)
        webshop = self._webshops.get(new.merchant) or next(iter(self._webshops.values()))
        if new.merchant and new.merchant != webshop.shop.merchant:
            raise ProviderRefusedError("refused", f"no shop {new.merchant}")
        truth = Truth(
            payment_id=str(self.new_uuid()),
            merchant=webshop.shop.merchant,
            order_id=new.order_id,
            status="pending",
            amount=new.amount,
            currency=new.currency,
        )
        if new.odd:
            self._finish(SimulatedOrder(truth, "IN_PROGRESS", new.brand, [], self._now(), new.odd), "COMPLETED")
            return {"payment_id": truth.payment_id}
        opened = SimulatedOrder(self.book.open(truth), "IN_PROGRESS", new.brand, [], self._now())
        self._orders[truth.payment_id] = opened
        for _ in range(new.failed_attempts):
            opened.transactions.append(self._transaction(opened, "FAILURE"))
        if new.status != "IN_PROGRESS":
            self._finish(opened, new.status)
        return {"payment_id": truth.payment_id}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        order = self._orders.get(payment_id)
        if order is None:
            raise ProviderRefusedError("refused", f"no order {payment_id}")
        self._finish(order, msgspec.convert(change, OrderChange).status)
        return {"payment_id": payment_id}

    def summary(self) -> dict[str, Any]:
        """The number of orders not pulled yet, and the pages with orders that were handed out and forgotten."""
        return {
            "uncollected": sum(len(webshop.queue) for webshop in self._webshops.values()),
            "pages": list(self._pages),
        }

    def _finish(self, order: SimulatedOrder, status: OrderStatus) -> None:
        order.status, order.changed_at = status, self._now()
        if status == "IN_PROGRESS":
            return
        attempt = {"COMPLETED": "SUCCESS", "EXPIRED": "EXPIRED"}.get(status)
        if attempt and (attempt == "SUCCESS" or order.brand != "IDEAL"):
            order.transactions.append(self._transaction(order, attempt))
        order.truth.paid = order.truth.amount if status == "COMPLETED" else 0
        order.truth.becomes(_STATUS[status])
        webshop = self._webshops[order.truth.merchant]
        webshop.queue.append(order)
        webshop.final_seconds = time.monotonic()
        if not webshop.pinging:
            webshop.pinging = True
            self._ping(webshop, self.settings.ping_delay_seconds)

    def _transaction(self, order: SimulatedOrder, status: str) -> dict[str, Any]:
        amount = {"currency": order.truth.currency, "amount": str(order.truth.amount)}
        return {
            "id": str(self.new_uuid()),
            "paymentBrand": order.brand,
            "type": "PAYMENT",
            "status": status,
            "amount": amount,
            # an attempt that moved no money has no confirmed amount, which is signed as two empty fields
            "confirmedAmount": amount if status == "SUCCESS" else None,
            "startTime": self._now(),
            "lastUpdateTime": self._now(),
        }

    def _now(self, moment: datetime | None = None) -> str:
        """A time as the bank writes it, with one to three fraction digits."""
        local = (moment or datetime.now(UTC)).astimezone(_CET)
        fraction = f"{local.microsecond // 1000:03d}"[: self.chance.randint(1, 3)]
        return local.strftime("%Y-%m-%dT%H:%M:%S.") + fraction + "+01:00"

    # --- the ping ------------------------------------------------------------------------------------------

    def _ping(self, webshop: _Webshop, after_seconds: float) -> None:
        """One ping per active key; the first one schedules the next."""
        for index, key in enumerate(webshop.shop.signing_keys):
            self.webhooks.again(
                Delivery(
                    merchant=webshop.shop.merchant,
                    about=webshop.shop.merchant,
                    written_late=True,
                    started=lambda delivery, key=key: self._write_ping(webshop, key, delivery),  # type: ignore[misc]
                    done=lambda delivery, status, first=index == 0: self._pinged(webshop, status, first),  # type: ignore[misc]
                ),
                after_seconds=self.scaled(after_seconds),
            )

    def _write_ping(self, webshop: _Webshop, key: str, delivery: Delivery) -> None:
        """The body is made when it is sent, so that its token is new."""
        active = webshop.shop.signing_keys
        key = key if key in active else active[0]  # it may have been withdrawn since the ping was planned
        seconds = self.scaled(self.settings.token_seconds)
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        token = self._new_token(webshop, key, expires)
        self._pull_tokens = _unexpired(self._pull_tokens)
        self._pull_tokens[token] = _IssuedToken(webshop, key, time.monotonic() + seconds)
        expiry = expires.astimezone(_CET).isoformat(timespec="milliseconds")
        poi_id = webshop.shop.poi_id
        ping = {
            **self.settings.planted,
            "authentication": token,
            "expiry": expiry,
            "eventName": EVENT,
            "poiId": poi_id,
            "signature": sign(key, (token, expiry, EVENT, poi_id)),
        }
        delivery.body = json.dumps(ping).encode()
        self.book.counters["pings"] += 1

    def _new_token(self, webshop: _Webshop, key: str, expires: datetime) -> str:
        header = {"kid": "NO", "alg": "ES256"}
        claims = {
            "no#": webshop.shop.poi_id,
            "mkid": webshop.shop.signing_keys.index(key) + 1,
            "no$": EVENT,
            "cid": self.chance.randbytes(4).hex(),
            "exp": int(expires.timestamp()),
        }
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
        parts.append(self.chance.randbytes(64))
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)

    def _pinged(self, webshop: _Webshop, status: int | None, keeps_rhythm: bool) -> None:
        webshop.refused = status != 200
        if not keeps_rhythm:
            return
        waited = time.monotonic() - webshop.final_seconds
        paused = webshop.refused and self.settings.after_refusal == "pause"
        if not webshop.queue or paused or waited > self.scaled(self.settings.ping_until_seconds):
            webshop.pinging = False
            return
        self._ping(webshop, self.settings.ping_every_seconds)

    # --- the bank's own API --------------------------------------------------------------------------------

    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        if request.method != "GET":
            return json_reply(405, {"errorCode": 5000, "errorMessage": "Method not allowed"})
        if request.path.endswith("/gatekeeper/refresh"):
            return self._refresh(request)
        for version in ("v2/", ""):
            before, found, name = request.path.partition(_PULL.format(version=version))
            if found and before.endswith("/omnikassa-api"):
                return self._pull(request, name, with_transactions=version == "v2/")
        if request.path.startswith("/v2/orders/"):
            return self._order(request)
        return json_reply(404, {"errorCode": 5404, "errorMessage": "Not found"})

    def _refresh(self, request: SimulatorRequest) -> SimulatorResponse:
        self.book.counters["refreshes"] += 1
        offered = request.bearer()
        for webshop in self._webshops.values():
            if offered and hmac.compare_digest(webshop.shop.refresh_token.encode(), offered.encode()):
                if self._too_fast(webshop):
                    return _TOO_FAST
                seconds = self.scaled(3600.0)
                until = datetime.now(UTC) + timedelta(seconds=seconds)
                token = self._new_token(webshop, webshop.shop.signing_keys[0], until)
                self._access_tokens = _unexpired(self._access_tokens)
                self._access_tokens[token] = _IssuedToken(webshop, "", time.monotonic() + seconds)
                written = until.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
                return json_reply(200, {"token": token, "validUntil": written, "durationInMillis": int(seconds * 1000)})
        return _UNAUTHENTICATED

    def _pull(self, request: SimulatorRequest, event_name: str, *, with_transactions: bool) -> SimulatorResponse:
        self.book.counters["pulls"] += 1
        token = self._valid(self._pull_tokens, request)
        if token is None or event_name != EVENT:
            self.book.counters["pulls.refused"] += 1
            return _UNAUTHENTICATED if token is None else json_reply(404, {"errorCode": 5404})
        if self._too_fast(token.webshop):
            return _TOO_FAST
        queue = token.webshop.queue
        orders = [queue.popleft() for _ in range(min(_PAGE_ORDERS, len(queue)))]
        self.book.counters["pulls.empty" if not orders else "pulls.orders"] += max(1, len(orders))
        page = {
            "moreOrderResultsAvailable": bool(queue),
            "orderResults": [
                {
                    **self.settings.planted,
                    **result(order, token.webshop.shop.poi_id, with_transactions=with_transactions),
                }
                for order in orders
            ],
        }
        signature = sign(token.key, signed_fields(page))
        if orders:
            paid_for = [order.truth.payment_id for order in orders if not order.odd]
            merchant = token.webshop.shop.merchant
            self._pages.append({"signature": signature, "at": time.time(), "merchant": merchant, "payments": paid_for})
        # escaped, because one of the odd texts has no UTF-8
        return SimulatorResponse(200, json.dumps({"signature": signature, **page}).encode())

    def _order(self, request: SimulatorRequest) -> SimulatorResponse:
        self.book.counters["order_lookups"] += 1
        token = self._valid(self._access_tokens, request)
        if token is None:
            return _UNAUTHENTICATED
        if self._too_fast(token.webshop):
            return _TOO_FAST
        order = self._orders.get(request.path.rpartition("/")[2])
        if order is None or order.truth.merchant != token.webshop.shop.merchant:
            return json_reply(
                404, {"errorCode": 5404, "errorMessage": "Not found", "status": 404, "title": "Not Found"}
            )
        return json_reply(200, {"order": told_order(order)})

    def _valid(self, tokens: dict[str, _IssuedToken], request: SimulatorRequest) -> _IssuedToken | None:
        token = tokens.get(request.bearer())
        if token is None or token.until_seconds <= time.monotonic():
            self.book.counters["tokens.refused"] += 1
            return None
        return token

    def _too_fast(self, webshop: _Webshop) -> bool:
        now = time.monotonic()
        calls = webshop.calls
        while calls and calls[0] <= now - _RATE_WINDOW_SECONDS:
            calls.popleft()
        if len(calls) >= self.settings.calls_per_second:
            self.book.violation("calls per second", webshop.shop.merchant)
            return True
        calls.append(now)
        return False


_UNAUTHENTICATED: Final = json_reply(
    401, {"errorCode": 5001, "errorMessage": "Full authentication is required to access this resource"}
)
_TOO_FAST: Final = json_reply(429, {"errorCode": 5429, "errorMessage": "Too many requests"}, retry_after="1")


def _unexpired(tokens: dict[str, _IssuedToken]) -> dict[str, _IssuedToken]:
    now = time.monotonic()
    return {text: token for text, token in tokens.items() if token.until_seconds > now}
