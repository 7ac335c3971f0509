"""The simulated gateway is as silent as the real one, and its calls are as odd as a shop may get them."""

from __future__ import annotations

import base64
import json
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import pytest

from paynotify.processors.providers.registry import provider_specs
from paynotify.sandbox.simulators.base import SimulatorRequest
from paynotify.sandbox.simulators.nevogate.settings import NevogateSettings
from paynotify.sandbox.simulators.nevogate.simulator import NevogateSimulator
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError
from tests.fakes.accounts import account, notification

NEVOGATE: Final = provider_specs()["nevogate"].provider
SHOP: Final = {"merchant": "shop", "store_name": "store", "api_key": "key"}


def gateway(**settings: Any) -> NevogateSimulator:
    return NevogateSimulator(msgspec.convert({"shops": [SHOP], **settings}, NevogateSettings))


def pay(simulator: NevogateSimulator, **order: Any) -> str:
    return str(simulator.create({"order_id": "O1", "amount": 10000, **order})["payment_id"])


def calls(simulator: NevogateSimulator) -> list[Delivery]:
    """The calls that wait to be sent; they are taken from the queue."""
    waiting = [one for _, _, one in sorted(simulator.webhooks._waiting)]
    simulator.webhooks._waiting.clear()
    return waiting


def read(delivery: Delivery) -> Any:
    call = notification("nevogate", delivery.body, method=delivery.method, query=delivery.query)
    return NEVOGATE.parse(call, account("nevogate"))


def ask(simulator: NevogateSimulator, method: str, transaction: str) -> dict[str, Any]:
    headers = {
        "authorization": "Basic " + base64.b64encode(b"store:key").decode(),
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": f"{method} | shop.example | Python | 3.12.1",
    }
    body = urlencode({"method": method, "json": json.dumps({"TransactionId": transaction})}).encode()
    found: dict[str, Any] = json.loads(simulator.api(SimulatorRequest("POST", "/api/payment/", "", headers, body)).body)
    return found


def test_status_that_is_not_final_is_told_by_the_customers_browser_alone() -> None:
    simulator = gateway()
    payment = pay(simulator)
    assert sorted(one.method for one in calls(simulator)) == ["GET", "POST"]
    payment = pay(simulator, result="PENDING")
    assert [one.method for one in calls(simulator)] == ["GET"]
    simulator.change(payment, {"result": "SUCCESSFUL"})
    assert sorted(one.method for one in calls(simulator)) == ["GET", "POST"]
    pay(simulator, result="PENDING", response_url=False, notify=True)
    assert [one.method for one in calls(simulator)] == ["POST"]


@pytest.mark.parametrize(
    ("change", "state", "status", "paid"),
    [
        ({"close": True}, "APPROVED", "captured", 10000),
        ({"close": True, "captured": 4000}, "APPROVED", "captured", 4000),
        ({"close": False}, "DECLINED", "cancelled", 0),
    ],
)
def test_hold_closed_by_hand_is_seen_only_in_the_details(
    change: dict[str, Any], state: str, status: str, paid: int
) -> None:
    simulator = gateway()
    payment = pay(simulator, auto_commit=False)
    calls(simulator)
    assert ask(simulator, "Details", payment)["CommonData"]["CommitState"] == "PENDING"
    simulator.change(payment, change)
    assert calls(simulator) == []
    common = ask(simulator, "Details", payment)["CommonData"]
    assert (common["CommitState"], common["Amount"]) == (state, "100")
    truth = simulator.book.payments[payment]
    assert (truth.status, truth.paid) == (status, paid)
    with pytest.raises(ProviderRefusedError):
        simulator.change(payment, change)


def test_hold_closed_by_the_shop_is_told_only_where_the_gateway_does() -> None:
    for told in (False, True):
        simulator = gateway(signals_close=told)
        payment = pay(simulator, auto_commit=False, notify=False)
        assert ask(simulator, "Close", payment)["ResultCode"] == "SUCCESSFUL"
        assert len(calls(simulator)) == told


@pytest.mark.parametrize(("verification", "amount"), [("zero", "0"), ("absent", None)])
def test_verified_card_is_successful_without_money_and_no_payment_of_the_ledger(
    verification: str, amount: str | None
) -> None:
    simulator = gateway()
    transaction = pay(simulator, verification=verification)
    for answer in (ask(simulator, "Result", transaction), ask(simulator, "Details", transaction)["CommonData"]):
        assert (answer["ResultCode"], answer.get("Amount")) == ("SUCCESSFUL", amount)
    assert simulator.book.payments == {}
    assert simulator.book.counters["verifications"] == 1
    assert {read(one).reference for one in calls(simulator)} == {transaction}
    simulator.change(transaction, {"result": "SUCCESSFUL"})
    assert simulator.book.payments == {}


def test_payment_over_nothing_is_a_verification() -> None:
    simulator = gateway()
    assert ask(simulator, "Result", pay(simulator, amount=0))["Amount"] == "0"
    assert simulator.book.payments == {}


def test_older_result_has_no_amount_and_its_details_have_one() -> None:
    simulator = gateway(old_results=True)
    payment = pay(simulator)
    assert not {"Amount", "Currency"} & ask(simulator, "Result", payment).keys()
    assert ask(simulator, "Details", payment)["CommonData"]["Amount"] == "100"


@pytest.mark.parametrize("form", ["json", "form", "multipart"])
def test_call_names_its_transaction_in_every_form(form: str) -> None:
    simulator = gateway()
    for _ in range(20):
        payment = pay(simulator, form=form, response_url=False)
        (call,) = calls(simulator)
        assert read(call).reference == payment
        assert call.content_type.startswith({"json": "application/json", "form": "application/x-www"}.get(form, form))


def test_forms_are_drawn_by_their_shares() -> None:
    simulator = gateway(form_share=0.3, multipart_share=0.3)
    for _ in range(60):
        pay(simulator, response_url=False)
    kinds = {one.content_type.partition(";")[0] for one in calls(simulator)}
    assert kinds == {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}


@pytest.mark.parametrize("kind", ["no_success", "critical_error", "unanswerable", "unsuccessful"])
@pytest.mark.parametrize("over", [False, True])
def test_alert_of_each_kind_is_told_and_when_it_is_over(kind: str, over: bool) -> None:
    simulator = gateway()
    assert simulator.create({"alert": kind, "over": over}) == {"payment_id": ""}
    (call,) = calls(simulator)
    told = read(call).alert
    assert (told.kind, told.state) == (kind, "over" if over else "raised")
    assert simulator.summary()["uncaused"] == []
