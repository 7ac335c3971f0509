"""Charges, captures and releases by topic, on a whole system: from the shop's record to the money at the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from paynotify.sandbox.system import Plan, Sandbox
from tests import topics_reader
from tests.acceptance.contract import assert_records_fit
from tests.acceptance.ledger import Observer

pytestmark = pytest.mark.kafka

_WITHIN_SECONDS: Final = 60.0
_PLAN: Final = Plan(
    merchants={"nevogate": ("shop-hu",)}, charges={"shop-hu": {}}, with_url_token=("shop-hu",), consumers=False
)


class Shop:
    """What the shop writes, and what it reads."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.gateway = sandbox.providers["nevogate"]

    def register(self, order_id: str, **order: Any) -> str:
        whole = {"amount": 500, "currency": "EUR", "registration": "active", "notify": False, **order}
        return self.gateway.pay(merchant="shop-hu", order_id=order_id, **whole)

    def ask(self, *requests: dict[str, Any]) -> None:
        records: topics_reader.Records = [(None, orjson.dumps({"merchant": "shop-hu", **one}), {}) for one in requests]
        topics_reader.send(self.sandbox.bootstrap, self.sandbox.topic("payments.requested"), records)

    def told(self, request_id: str) -> list[dict[str, Any]]:
        """The events of a request in their order, each once."""
        found: dict[str, dict[str, Any]] = {}
        for record in topics_reader.whole(self.sandbox.bootstrap, self.sandbox.topic("payments.requests")):
            one = orjson.loads(record.value)
            if one["request_id"] == request_id:
                assert found.setdefault(one["event_id"], one) == one
        return list(found.values())

    def ended(self, request_id: str) -> dict[str, Any]:
        def end() -> dict[str, Any] | None:
            told = self.told(request_id)
            return told[-1] if told and told[-1]["state"] in ("done", "refused") else None

        found = wait_for(end, within_seconds=_WITHIN_SECONDS, every=0.3)
        assert found, self.told(request_id)
        return found

    def statuses(self, payment_id: str, last: str) -> list[dict[str, Any]]:
        """The payment's status events, once the last of them is ``last``."""

        def events() -> list[dict[str, Any]] | None:
            records = topics_reader.whole(self.sandbox.bootstrap, self.sandbox.topic("payments.status"))
            found = topics_reader.payments(records).get(f"shop-hu/{payment_id}", [])
            return found if found and found[-1]["status"] == last else None

        found = wait_for(events, within_seconds=_WITHIN_SECONDS, every=0.3)
        assert found
        return found


def charge(request_id: str, reference: str, **more: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "action": "charge",
        "order_id": f"order-{request_id}",
        "reference_payment_id": reference,
        "amount": {"value": 1990, "currency": "EUR"},
        **more,
    }


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(_PLAN)


@pytest.fixture
def shop(sandbox: Sandbox) -> Shop:
    return Shop(sandbox)


def test_charge_is_reserved_and_captured_and_told_on_both_topics(shop: Shop) -> None:
    shop.ask(charge("now", shop.register("first"), capture="now"))
    end = shop.ended("now")
    assert (end["state"], end["status"], end["amount"]) == ("done", "captured", {"value": 1990, "currency": "EUR"})
    assert [one["state"] for one in shop.told("now")] == ["received", "started", "done"]
    events = shop.statuses(end["payment_id"], "captured")
    assert [one["status"] for one in events] == ["authorised", "captured"]
    assert events[-1]["fulfilment"] == "release"
    assert events[-1]["paid"] == {"value": 1990, "currency": "EUR"}
    assert events[-1]["checks"] == {"amount": "match", "order": "expected"}
    money = moved_by_order(shop.gateway.book())["order-now"]
    assert (money["moved"], money["captured"], money["starts"], money["closes"]) == (1, 1990, 1, 1)


def test_reserved_money_is_captured_in_part_and_told_so(shop: Shop) -> None:
    shop.ask(charge("part", shop.register("second")))
    reserved = shop.ended("part")
    assert reserved["status"] == "authorised"
    payment_id = reserved["payment_id"]
    assert shop.statuses(payment_id, "authorised")[-1]["fulfilment"] == "hold"
    capture = {"request_id": "part-c", "action": "capture", "payment_id": payment_id}
    shop.ask({**capture, "amount": {"value": 990, "currency": "EUR"}})
    assert shop.ended("part-c")["status"] == "captured"
    last = shop.statuses(payment_id, "captured")[-1]
    assert (last["paid"], last["checks"]["amount"], last["fulfilment"]) == (
        {"value": 990, "currency": "EUR"},
        "match",
        "release",
    )
    money = moved_by_order(shop.gateway.book())["order-part"]
    assert (money["captured"], money["released"]) == (990, 1000)


def test_reserved_money_is_released(shop: Shop) -> None:
    shop.ask(charge("free", shop.register("third")))
    payment_id = shop.ended("free")["payment_id"]
    shop.ask({"request_id": "free-r", "action": "release", "payment_id": payment_id})
    assert shop.ended("free-r")["status"] == "cancelled"
    assert shop.statuses(payment_id, "cancelled")[-1]["fulfilment"] == "stop"
    shop.ask({"request_id": "free-c", "action": "capture", "payment_id": payment_id})
    assert shop.ended("free-c")["reason"] in ("already_closing", "not_authorised")


def test_withdrawn_means_of_payment_is_refused_and_moves_nothing(shop: Shop) -> None:
    shop.ask(charge("gone", shop.register("fourth", registration="withdrawn"), capture="now"))
    end = shop.ended("gone")
    assert (end["state"], end["reason"]) == ("refused", "reference_not_usable")
    assert moved_by_order(shop.gateway.book())["order-gone"]["moved"] == 0


def test_request_asked_twice_is_done_once(shop: Shop) -> None:
    wanted = charge("twice", shop.register("fifth"), capture="now")
    shop.ask(wanted, wanted)
    assert shop.ended("twice")["status"] == "captured"
    shop.ask(wanted, charge("thrice", wanted["reference_payment_id"], order_id="order-twice"))
    assert shop.ended("thrice")["reason"] == "order_already_charged"
    assert moved_by_order(shop.gateway.book())["order-twice"]["moved"] == 1


@pytest.mark.parametrize(("outcome", "status"), [("PENDING-SUCCESSFUL", "captured"), ("PENDING-ERROR", "failed")])
def test_pending_charge_ends_as_its_notification_tells(shop: Shop, outcome: str, status: str) -> None:
    name = outcome.lower()
    shop.ask(charge(name, shop.register(f"pending-{status}", outcome=outcome), capture="now"))
    assert shop.ended(name)["status"] == status
    assert moved_by_order(shop.gateway.book())[f"order-{name}"]["moved"] == (status == "captured")


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("StartRP", "timeout_after"),
        ("StartRP", "html_after"),
        ("StartRP", "lose"),
        ("Close", "timeout_after"),
        ("Close", "timeout"),
        ("InitRP", "timeout"),
        ("StartRP", "refuse"),
    ],
)
def test_whatever_is_lost_the_money_moves_once(shop: Shop, method: str, kind: Any) -> None:
    name = f"{method}-{kind}".lower()
    reference = shop.register(f"lost-{name}")
    code = {"code": "WrongApikey"} if kind == "refuse" else {}
    seconds = {} if kind == "refuse" else {"seconds": 30}
    shop.gateway.fault(kind, path=method, calls=1, **seconds, **code)
    shop.ask(charge(name, reference, capture="now"))
    assert shop.ended(name)["status"] == "captured"
    money = moved_by_order(shop.gateway.book())[f"order-{name}"]
    assert (money["moved"], money["closed"], money["captured"]) == (1, 1, 1990)


def test_call_of_the_gateway_got_its_one_result(shop: Shop) -> None:
    """After all the charges of this module, whose calls came to the merchant's own URL with its token."""

    def answered() -> bool:
        book = shop.gateway.book()
        return not book["unanswered"] and not book["uncaused"] and bool(book["calls"])

    assert wait_for(answered, within_seconds=_WITHIN_SECONDS, every=0.5)
    assert not shop.gateway.book()["violations"]


def test_records_are_as_the_contract_documents_say(observer: Observer) -> None:
    observer.read()
    assert assert_records_fit(observer.records) >= {
        "PaymentRequested",
        "RequestProgressed",
        "RequestAccepted",
        "TimeReached",
    }
