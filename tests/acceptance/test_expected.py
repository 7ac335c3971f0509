"""Shops announce what they sold: payments are compared with it, missed when overdue, looked for and found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from paynotify.sandbox.accounts import default_merchants
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.shop import ExampleShop
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests.acceptance.contract import assert_records_fit
from tests.acceptance.ledger import Observer, header

pytestmark = pytest.mark.kafka

LOOKS = {"poll_schedule_seconds": {"trustpayments": [0.2, 2.0, 5.0], "omnikassa": [0.2, 2.0], "nevogate": [0.2, 2.0]}}


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    plan = Plan(
        workers=((), ()),
        merchants={**default_merchants(), "nevogate": ("shop-hu", "store-hu")},
        merchant={"store-hu": {"recover_by_details": True}},
        configuration={"worker": {"overdue": LOOKS, "silence": {"min_missed": 3, "false_alarm_probability": 0.05}}},
        partitions=2,
        consumers=False,
    )
    return start(plan)


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox) -> Iterator[ExampleShop]:
    one = ExampleShop(sandbox.bootstrap, sandbox.prefix)
    yield one
    one.close()


def events(observer: Observer, topic: str, **fields: Any) -> list[dict[str, Any]]:
    """The distinct events on a topic that have these fields, in order."""
    observer.read()
    found = [orjson.loads(one.value) for one in observer.records[topic]]
    chosen = [one for one in found if all(one[name] == value for name, value in fields.items())]
    return list({one["event_id"]: one for one in chosen}.values())


def until(observer: Observer, topic: str, count: int, within_seconds: float = 40.0, **fields: Any) -> list[Any]:
    """Wait for so many of them."""
    wait_for(lambda: len(events(observer, topic, **fields)) >= count, within_seconds=within_seconds, every=0.2)
    found = events(observer, topic, **fields)
    assert len(found) == count, found
    return found


def seen(event: dict[str, Any]) -> tuple[str, str, str, str]:
    return event["status"], event["checks"]["amount"], event["checks"]["order"], event["fulfilment"]


def test_payment_announced_before_is_compared_in_its_first_event(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    shop.expects("shop-uk", "BEFORE1", 1000, "GBP")
    shop.expects("shop-uk", "BEFORE2", 999, "GBP")
    # both are known to the workers when a payment announced after them has been compared
    shop.expects("shop-uk", "BEFORE0", 1, "GBP")
    control = sandbox.providers["trustpayments"]
    control.pay(order_id="BEFORE0", amount=1, settlestatus="100")
    until(observer, topics.STATUS, 1, order_id="BEFORE0", fulfilment="release")
    for order in ("BEFORE1", "BEFORE2"):
        control.pay(order_id=order, amount=1000, settlestatus="100")
    (right,) = until(observer, topics.STATUS, 1, order_id="BEFORE1")
    (wrong,) = until(observer, topics.STATUS, 1, order_id="BEFORE2")
    assert seen(right) == ("captured", "match", "expected", "release")
    assert seen(wrong) == ("captured", "mismatch", "expected", "hold")


def test_expectation_that_comes_after_the_payment_corrects_the_answer(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    sandbox.providers["nevogate"].pay(order_id="AFTER1", amount=1000, currency="HUF")
    (first,) = until(observer, topics.STATUS, 1, order_id="AFTER1")
    assert seen(first) == ("captured", "unknown", "unexpected", "release")
    shop.expects("shop-hu", "AFTER1", 1000, "EUR")
    first, second = until(observer, topics.STATUS, 2, order_id="AFTER1")
    assert seen(second) == ("captured", "mismatch", "expected", "hold")
    assert (second["sequence"], second["previous_status"]) == (2, "captured")


def test_payment_whose_webhook_never_came_is_overdue_then_found_and_cleared(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    lost = sandbox.providers["trustpayments"].pay(order_id="LOST1", amount=700, settlestatus="100", notify=False)
    shop.expects("shop-uk", "LOST1", 700, "GBP", final_by=timedelta(seconds=0.5))
    (event,) = until(observer, topics.STATUS, 1, order_id="LOST1")
    assert event["payment_id"] == lost
    assert seen(event) == ("captured", "match", "expected", "release")
    raised, cleared = until(observer, topics.OVERDUE, 2, order_id="LOST1")
    assert (raised["state"], raised["status"], raised["payment_id"]) == ("raised", None, None)
    assert (cleared["state"], cleared["status"], cleared["payment_id"]) == ("cleared", "captured", lost)


def test_announced_order_of_the_bank_is_asked_for_alone_when_no_ping_comes(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    bank = sandbox.providers["omnikassa"]
    bank.notify(paused=True)
    payment = bank.pay(order_id="LOST2", amount=700)
    shop.expects("shop-nl", "LOST2", 700, "EUR", payment_id=payment, final_by=timedelta(seconds=0.5))
    (event,) = until(observer, topics.STATUS, 1, order_id="LOST2")
    assert (event["payment_id"], seen(event)) == (payment, ("captured", "match", "expected", "release"))
    raised, cleared = until(observer, topics.OVERDUE, 2, order_id="LOST2")
    assert (raised["state"], cleared["state"]) == ("raised", "cleared")
    bank.notify(paused=False)


def test_nevogates_details_are_asked_for_only_where_the_merchant_allows_it(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    gateway = sandbox.providers["nevogate"]
    for merchant, order in (("shop-hu", "LOST3"), ("store-hu", "LOST4")):
        payment = gateway.pay(merchant=merchant, order_id=order, amount=700, notify=False)
        shop.expects(merchant, order, 700, "HUF", payment_id=payment, final_by=timedelta(seconds=0.5))
    (event,) = until(observer, topics.STATUS, 1, order_id="LOST4")
    assert seen(event) == ("captured", "match", "expected", "release")
    (raised,) = until(observer, topics.OVERDUE, 1, order_id="LOST3")
    assert raised["state"] == "raised"
    assert events(observer, topics.STATUS, order_id="LOST3") == []
    counters = gateway.counters()
    assert counters["methods.Details"] == 1
    assert gateway.book()["uncaused"] == []


def test_abandoned_basket_is_overdue_and_no_dead_letter(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    calls = sandbox.providers["nevogate"].counters().get("calls", 0)
    shop.expects("shop-uk", "LEFT1", 700, "GBP", final_by=timedelta(seconds=0.2))
    shop.expects("shop-hu", "LEFT2", 700, "HUF", final_by=timedelta(seconds=0.2), payment_id="0" * 32)
    for order in ("LEFT1", "LEFT2"):
        (raised,) = until(observer, topics.OVERDUE, 1, order_id=order)
        assert raised["state"] == "raised"
    assert len(until_lookups(observer, 3, "LEFT1")) == 3
    observer.read()
    assert not [one for one in observer.records[topics.DEAD] if b"LEFT" in (one.value or b"")]
    assert sandbox.providers["nevogate"].counters().get("calls", 0) == calls, "no Result without a call"


def until_lookups(observer: Observer, count: int, order: str) -> set[str]:
    """Wait for so many different lookups about the order."""

    def asked() -> set[str]:
        observer.read()
        lookups = observer.records[topics.lookups("trustpayments")]
        return {header(one, "ce_id") for one in lookups if order.encode() in one.value}

    wait_for(lambda: len(asked()) >= count, within_seconds=30, every=0.2)
    return asked()


def test_impossible_expectation_is_dead_lettered_with_its_reason(
    sandbox: Sandbox, shop: ExampleShop, observer: Observer
) -> None:
    shop.expects("shop-uk", "WRONG1", -5, "GBP")
    shop.expects("nobody", "WRONG2", 5, "GBP")

    def reasons() -> list[str]:
        observer.read()
        dead = observer.records[topics.DEAD]
        return sorted(header(one, "reason") for one in dead if b"WRONG" in (one.value or b""))

    assert wait_for(lambda: reasons() == ["unknown_merchant", "unreadable_expectation"], within_seconds=20, every=0.2)


def test_provider_that_tells_of_nothing_is_noticed(sandbox: Sandbox, shop: ExampleShop, observer: Observer) -> None:
    sandbox.providers["omnikassa"].notify(paused=True)
    for number in range(12):
        shop.expects("shop-nl", f"SILENT{number}", 100, "EUR", final_by=timedelta(seconds=0.2))
    (silent,) = until(observer, topics.SILENT, 1, provider="omnikassa")
    assert (silent["state"], silent["urgent"]) == ("silent", True)
    sandbox.providers["omnikassa"].notify(paused=False)
    shop.expects("shop-nl", "HEARD1", 100, "EUR")
    sandbox.providers["omnikassa"].pay(order_id="HEARD1", amount=100)
    _, heard = until(observer, topics.SILENT, 2, provider="omnikassa")
    assert heard["state"] == "heard"
    assert heard["unheard"] >= silent["unheard"]


def test_records_are_as_the_contract_documents_say(observer: Observer) -> None:
    observer.read()
    assert assert_records_fit(observer.records) >= {
        "PaymentExpected",
        "PaymentOverdue",
        "ProviderSilent",
        "OrderHeardOf",
    }
