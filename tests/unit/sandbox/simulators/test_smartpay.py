"""The simulated bank's signed events: bytes, repeats and keys as the bank's pages describe them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.sandbox.simulators.base import SimulatorRequest
from paynotify.sandbox.simulators.smartpay.settings import SmartPaySettings, SmartPayShop
from paynotify.sandbox.simulators.smartpay.simulator import KEY_SET, KEY_SET_PATH, SmartPaySimulator
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError, RejectedNotificationError
from tests.fakes.accounts import account, notification

SUBSCRIPTIONS: Final = ("wsb_1", "wsb_2")


class Announced(SmartPaySimulator):
    """The bank with its deliveries at hand: nothing is sent, and each wait is recorded."""

    def __init__(self, **settings: Any) -> None:
        shop = SmartPayShop(merchant="shop", subscription_ids=SUBSCRIPTIONS, refresh_token="refresh-1")
        super().__init__(SmartPaySettings(shops=(shop,), **settings))
        self.deliveries: list[Delivery] = []
        self.waits: list[float] = []
        self.webhooks.send = self._sent  # type: ignore[method-assign]
        self.webhooks.again = self._again  # type: ignore[method-assign]

    def _sent(self, delivery: Delivery, *, after_seconds: float = 0.0) -> None:
        self.deliveries.append(delivery)

    def _again(self, delivery: Delivery, *, after_seconds: float) -> None:
        self.waits.append(after_seconds)

    def pay(self, **order: Any) -> str:
        return str(self.create({"order_id": "O-1", "amount": 1050, **order})["payment_id"])

    def answered(self, status: int | None, answer: bytes = b"", *, delivery: Delivery | None = None) -> None:
        one = delivery or self.deliveries[-1]
        one.attempts += 1
        one.answer = answer
        one.done(one, status)

    def get(self, path: str, **headers: str) -> Any:
        return self.api(SimulatorRequest("GET", path, "", headers, b""))


def judged(bank: Announced, folder: Path, delivery: Delivery | None = None) -> str:
    """What the product says of the newest event."""
    one = delivery or bank.deliveries[-1]
    (folder / "keys.json").write_bytes(bank.get(KEY_SET_PATH).body)
    shop = account("smartpay", jwks_file=str(folder / "keys.json"), subscription_ids=list(SUBSCRIPTIONS))
    headers: Mapping[str, str] = {name.lower(): value for name, value in one.headers.items()}
    call = notification("smartpay", one.body, headers=headers)
    provider = SmartPayProvider()
    try:
        parsed = provider.parse(call, shop)
        return provider.verify(parsed, call, shop) if parsed.alert is None else parsed.alert.kind
    except RejectedNotificationError as rejected:
        return rejected.reason


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512"])
def test_event_is_signed_with_every_listed_algorithm(algorithm: str, tmp_path: Path) -> None:
    bank = Announced()
    order_id = bank.pay(algorithm=algorithm)
    (delivery,) = bank.deliveries
    assert judged(bank, tmp_path) == "authentic"
    event = json.loads(delivery.body)
    assert event["data"]["orderId"] == order_id == delivery.about
    assert event["data"]["amount"] == {"total": 1050, "paid": 1050}


@pytest.mark.parametrize(
    ("odd", "verdict"),
    [
        ("foreign", "mismatch"),
        ("unpublished", "unknown_key"),
        ("changed", "bad_signature"),
        ("test", "test_event"),
        ("unknown_type", "unsupported_type"),
        ("unknown_status", "authentic"),
    ],
)
def test_odd_event_is_judged_for_what_is_odd(odd: str, verdict: str, tmp_path: Path) -> None:
    bank = Announced()
    bank.pay(odd=odd)
    assert judged(bank, tmp_path) == verdict
    assert len(bank.book.payments) == (1 if odd == "unknown_status" else 0), "nobody can be told of the others"


def test_two_subscriptions_tell_of_one_event_with_one_id(tmp_path: Path) -> None:
    bank = Announced()
    bank.pay(odd="twice")
    first, second = bank.deliveries
    assert first.body != second.body
    assert first.headers["X-SmartPay-Event-Id"] == second.headers["X-SmartPay-Event-Id"]
    assert [judged(bank, tmp_path, one) for one in (first, second)] == ["authentic"] * 2


def test_repeats_double_for_twenty_four_days_and_then_end() -> None:
    bank = Announced()
    bank.pay()
    for _ in range(21):
        bank.answered(503)
    assert bank.waits == [2.0 * 2**number for number in range(20)]
    assert sum(bank.waits) / 86_400 == pytest.approx(24.27, abs=0.01)
    assert bank.book.counters["events.given_up"] == 1


@pytest.mark.parametrize("status", [None, 400, 404, 429, 500, 503])
def test_refused_or_unanswered_event_is_repeated_with_the_same_bytes(status: int | None) -> None:
    bank = Announced()
    bank.pay()
    (delivery,) = bank.deliveries
    before = delivery.body, dict(delivery.headers)
    bank.answered(status)
    assert bank.waits == [2.0]
    assert (delivery.body, dict(delivery.headers)) == before


@pytest.mark.parametrize(("status", "answer"), [(200, b""), (200, b"ack\n"), (200, b"OK"), (204, b""), (302, b"ack")])
def test_success_without_ack_loses_the_event_for_ever(status: int, answer: bytes) -> None:
    bank = Announced()
    bank.pay()
    bank.answered(status, answer)
    assert bank.waits == []
    assert bank.book.counters["events.lost"] == 1
    assert [one["rule"] for one in bank.book.violations] == ["answer without ack"]


def test_subscription_is_disabled_after_too_many_failures() -> None:
    bank = Announced(disable_after=2)
    bank.pay()
    bank.answered(500)
    bank.answered(500)
    assert len(bank.waits) == 1
    assert bank.settings.shops[0].disabled
    bank.pay()
    bank.answered(200, b"ack")
    assert bank.book.counters["events.acknowledged"] == 1


def test_keys_rotate_double_and_retire_as_the_control_says(tmp_path: Path) -> None:
    bank = Announced()
    bank.pay()
    old = bank.deliveries[-1]
    bank.change(KEY_SET, {"rotate": "ES256", "publish": "old"})
    bank.pay()
    assert judged(bank, tmp_path) == "unknown_key", "the old copy does not hold the new key"
    bank.change(KEY_SET, {"publish": "current", "twin": "ES256"})
    assert [judged(bank, tmp_path, one) for one in (old, bank.deliveries[-1])] == ["authentic"] * 2
    bank.change(KEY_SET, {"retire": True})
    assert [judged(bank, tmp_path, one) for one in (old, bank.deliveries[-1])] == ["unknown_key", "authentic"]
    bank.change(KEY_SET, {"publish": "huge"})
    assert len(bank.get(KEY_SET_PATH).body) > 10_000_000


def test_order_call_knows_a_shops_orders_for_a_day_and_is_missing_in_the_sandbox() -> None:
    bank = Announced()
    order_id = bank.pay(status="IN_PROGRESS")
    assert bank.deliveries == [], "only final statuses are told"
    assert bank.get(f"/v2/orders/{order_id}").status == 401
    token = json.loads(bank.get("/omnikassa-api/gatekeeper/refresh", authorization="Bearer refresh-1").body)["token"]
    found = bank.get(f"/v2/orders/{order_id}", authorization=f"Bearer {token}")
    assert json.loads(found.body)["order"]["status"] == "IN_PROGRESS"
    bank.change(order_id, {"status": "EXPIRED"})
    assert len(bank.deliveries) == 1
    assert (
        json.loads(bank.get(f"/v2/orders/{order_id}", authorization=f"Bearer {token}").body)["order"]["id"] == order_id
    )
    bank.settings.keeps_orders_seconds = -1.0
    assert bank.get(f"/v2/orders/{order_id}", authorization=f"Bearer {token}").status == 404
    bank.settings.order_call = False
    assert bank.get(f"/v2/orders/{order_id}", authorization=f"Bearer {token}").status == 404


def test_unknown_shop_and_order_are_refused() -> None:
    bank = Announced()
    with pytest.raises(ProviderRefusedError):
        bank.pay(merchant="nobody")
    with pytest.raises(ProviderRefusedError):
        bank.change("nothing", {"status": "EXPIRED"})
