"""The simulated gateway tells of requests, and settles, cancels and refunds without a word, as its pages say."""

from __future__ import annotations

import base64
import json
from typing import Any, Final
from urllib.parse import parse_qs

import pytest

from paynotify.sandbox.simulators.base import SimulatorRequest
from paynotify.sandbox.simulators.trustpayments.clock import GatewayClock
from paynotify.sandbox.simulators.trustpayments.settings import TrustPaymentsSettings, TrustPaymentsShop
from paynotify.sandbox.simulators.trustpayments.signature import security_hash
from paynotify.sandbox.simulators.trustpayments.simulator import TrustPaymentsSimulator
from paynotify.sandbox.simulators.webhooks import Delivery

REFUNDS: Final = ("STR-10", "UDR-1")
SETTLEMENT: Final = ("STR-10", "UDR-2")


class Gateway:
    """One site of the simulated gateway, without a network."""

    def __init__(self, day_seconds: float | None = None, **shop: Any) -> None:
        self.shop = TrustPaymentsShop(
            merchant="shop",
            site_reference="test_site1",
            notification_password="word",
            username="ws@shop",
            password="secret",
            extra_fields=("requesttypedescription", "parenttransactionreference"),
            **shop,
        )
        settings = TrustPaymentsSettings(shops=(self.shop,), visible_within_seconds=0, day_seconds=day_seconds)
        self.simulator = TrustPaymentsSimulator(settings)
        self.deliveries: list[Delivery] = []
        self.simulator.webhooks.send = self._sent  # type: ignore[method-assign]

    def _sent(self, delivery: Delivery, after_seconds: float = 0.0) -> None:
        self.deliveries.append(delivery)

    def pay(self, **order: Any) -> str:
        return str(self.simulator.create({"order_id": "O1", "amount": 1000, **order})["payment_id"])

    def change(self, payment: str, **change: Any) -> str:
        return str(self.simulator.change(payment, change)["transactionreference"])

    def night(self, days: int = 1) -> int:
        return int(self.simulator.night({"days": days})["settled"])

    def told(self) -> list[tuple[str, str]]:
        """Transaction and settle status of each notification since the last call."""
        forms = [parse_qs(one.body.decode(), keep_blank_values=True) for one in self.deliveries]
        self.deliveries.clear()
        return [(form["transactionreference"][0], form["settlestatus"][0]) for form in forms]

    def query(self, **filters: list[str]) -> dict[str, Any]:
        wanted = {name: [{"value": value} for value in values] for name, values in filters.items()}
        wanted.setdefault("sitereference", [{"value": "test_site1"}])
        request = {"requestreference": "A1", "requesttypedescriptions": ["TRANSACTIONQUERY"], "filter": wanted}
        body = json.dumps({"alias": "ws@shop", "version": "1.00", "request": [request]}).encode()
        headers = {"authorization": "Basic " + base64.b64encode(b"ws@shop:secret").decode()}
        answer = self.simulator.api(SimulatorRequest("POST", "/json/", "", headers, body))
        found: dict[str, Any] = json.loads(answer.body)["response"][0]
        return found

    def record(self, reference: str) -> dict[str, str]:
        (found,) = self.query(transactionreference=[reference])["records"]
        return dict(found)

    def truth(self, payment: str) -> Any:
        return self.simulator.book.payments[payment]


def test_card_is_settled_at_night_and_nobody_is_told() -> None:
    gateway = Gateway()
    payment = gateway.pay()
    assert gateway.told() == [(payment, "0")]
    assert gateway.night() == 1
    assert gateway.record(payment)["settlestatus"] == "100"
    assert gateway.told() == []
    assert gateway.truth(payment).history == ["authorised", "captured"]
    assert gateway.night() == 0


@pytest.mark.parametrize("settlestatus", ["10", "100", "2", "3"])
def test_changed_settle_status_of_a_card_is_told_by_no_system_rule(settlestatus: str) -> None:
    gateway = Gateway(rules=("STR-8", "STR-9", "STR-10"))
    payment = gateway.pay()
    gateway.told()
    gateway.change(payment, settlestatus=settlestatus)
    assert gateway.told() == []


@pytest.mark.parametrize(("method", "told"), [("TRUSTLY", True), ("ATA", True), ("SOFORT", False)])
def test_bank_method_is_told_of_once_the_money_is_there(method: str, told: bool) -> None:
    gateway = Gateway()
    payment = gateway.pay(payment_type=method, settlestatus="10")
    gateway.told()
    assert gateway.truth(payment).status == "pending"
    assert gateway.night() == 0
    gateway.change(payment, settlestatus="100")
    assert gateway.told() == ([(payment, "100")] if told else [])


def test_custom_rule_with_settle_status_tells_of_the_batch() -> None:
    gateway = Gateway(rules=SETTLEMENT)
    payment = gateway.pay()
    gateway.told()
    gateway.night()
    assert gateway.told() == [(payment, "100")]


def test_change_is_told_of_where_the_test_asks_for_it() -> None:
    gateway = Gateway()
    payment = gateway.pay(notify=False)
    assert gateway.told() == []
    gateway.change(payment, settlestatus="100", notify=True, copies=2)
    assert gateway.told() == [(payment, "100")] * 2


def test_deferred_payment_settles_in_the_night_of_its_due_date() -> None:
    gateway = Gateway()
    payment = gateway.pay(settles_in_days=2)
    assert [gateway.night(), gateway.night()] == [0, 0]
    assert gateway.night() == 1
    record = gateway.record(payment)
    assert record["settledtimestamp"][:10] > record["settleduedate"]


@pytest.mark.parametrize(("pre_authorised", "nights"), [(False, 8), (True, 32)])
def test_suspended_payment_lapses_silently_when_nobody_acts(pre_authorised: bool, nights: int) -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="2", pre_authorised=pre_authorised)
    gateway.told()
    assert gateway.night(nights - 1) == 0
    assert gateway.night() == 1
    assert gateway.truth(payment).status == "cancelled"
    assert gateway.told() == []


def test_paypal_payment_goes_from_10_to_1_before_it_is_settled() -> None:
    gateway = Gateway()
    payment = gateway.pay(payment_type="PAYPAL")
    seen = []
    for _ in range(3):
        gateway.night()
        seen.append(gateway.record(payment)["settlestatus"])
    assert seen == ["10", "1", "100"]
    assert gateway.truth(payment).history == ["authorised", "captured"]


def test_declined_payment_is_never_settled() -> None:
    gateway = Gateway()
    payment = gateway.pay(errorcode="70000")
    assert gateway.night() == 0
    assert gateway.truth(payment).history == ["declined"]


def test_refund_is_accepted_first_and_settled_at_night() -> None:
    gateway = Gateway(rules=REFUNDS)
    payment = gateway.pay(settlestatus="100")
    gateway.told()
    refund = gateway.change(payment, refund=400)
    assert gateway.told() == [(refund, "0")]
    truth = gateway.truth(payment)
    assert (truth.status, truth.refunding, truth.refunded) == ("captured", 400, 0)
    assert truth.steps == 1
    gateway.night()
    assert gateway.told() == []
    assert (truth.status, truth.refunding, truth.refunded) == ("partially_refunded", 0, 400)
    assert gateway.record(refund)["parenttransactionreference"] == payment


def test_refund_before_the_settlement_counts_when_the_payment_is_settled() -> None:
    gateway = Gateway()
    payment = gateway.pay()
    gateway.change(payment, refund=1000)
    assert (gateway.truth(payment).status, gateway.truth(payment).refunding) == ("authorised", 1000)
    gateway.night()
    assert (gateway.truth(payment).status, gateway.truth(payment).refunded) == ("refunded", 1000)


def test_refund_is_not_told_of_by_system_rules() -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="100")
    gateway.told()
    gateway.change(payment, refund=400)
    assert gateway.told() == []


def test_cancelled_refund_moves_no_money() -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="100")
    gateway.change(gateway.change(payment, refund=400), settlestatus="3")
    gateway.night()
    truth = gateway.truth(payment)
    assert (truth.status, truth.refunding, truth.refunded) == ("captured", 0, 0)


def test_payout_with_a_parent_changes_no_payment() -> None:
    gateway = Gateway(rules=REFUNDS)
    payment = gateway.pay()
    payout = gateway.change(payment, payout=5000)
    record = gateway.record(payout)
    assert (record["requesttypedescription"], record["accounttypedescription"]) == ("REFUND", "CFT")
    gateway.night()
    truth = gateway.truth(payment)
    assert (truth.status, truth.refunding, truth.refunded) == ("captured", 0, 0)


def test_payout_without_a_parent_is_no_payment() -> None:
    gateway = Gateway(rules=REFUNDS)
    payout = gateway.pay(request="CFT", amount=5000)
    assert gateway.told() == [(payout, "0")]
    assert gateway.simulator.book.payments == {}
    assert "parenttransactionreference" not in gateway.record(payout)
    assert gateway.night() == 1


def test_account_check_is_told_of_and_is_no_payment() -> None:
    gateway = Gateway(rules=REFUNDS)
    check = gateway.pay(request="ACCOUNTCHECK", amount=0)
    assert gateway.told() == [(check, "0")]
    assert gateway.simulator.book.payments == {}
    assert gateway.night() == 0


def test_chargeback_is_partial_silent_and_reversed_without_a_record() -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="100")
    gateway.told()
    chargeback = gateway.change(payment, chargeback=300)
    truth = gateway.truth(payment)
    assert (truth.status, truth.charged_back) == ("charged_back", 300)
    assert gateway.record(chargeback)["baseamount"] == "300"
    records = gateway.query(orderreference=["O1"])["found"]
    gateway.change(chargeback, reversed=True)
    assert (truth.status, truth.charged_back) == ("captured", 0)
    assert gateway.query(orderreference=["O1"])["found"] == records
    assert gateway.told() == []


def test_chargeback_of_a_refund_takes_money_of_its_payment() -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="100")
    refund = gateway.change(payment, refund=400, refund_settlestatus="100")
    chargeback = gateway.change(refund, chargeback=True)
    assert gateway.record(chargeback)["parenttransactionreference"] == refund
    truth = gateway.truth(payment)
    assert (truth.status, truth.charged_back, truth.refunded) == ("charged_back", 600, 400)


def test_split_shipment_is_settled_in_parts_of_one_order() -> None:
    gateway = Gateway()
    first = gateway.pay(shipments=2)
    gateway.change(first, settles=600)
    gateway.night()
    second = gateway.change(first, shipment=400)
    assert gateway.told() == [(first, "0"), (second, "0")]
    gateway.night()
    assert [gateway.truth(one).paid for one in (first, second)] == [600, 400]
    record = gateway.record(second)
    assert {"authmethod": "SPLIT", "splitfinalnumber": "2", "accounttypedescription": "ECOM"}.items() <= record.items()
    assert (record["orderreference"], record["parenttransactionreference"]) == ("O1", first)


def test_subscription_repeats_with_the_order_of_its_parent() -> None:
    gateway = Gateway()
    first = gateway.pay(subscription=True)
    second, third = (gateway.change(first, repeat=1000) for _ in range(2))
    records = [gateway.record(one) for one in (second, third)]
    assert [one["subscriptionnumber"] for one in records] == ["2", "3"]
    assert {one["accounttypedescription"] for one in records} == {"RECUR"}
    assert {(one["orderreference"], one["parenttransactionreference"]) for one in records} == {("O1", first)}
    assert gateway.truth(third).status == "authorised"


def test_converted_payment_has_the_customers_amount_and_the_merchants_pair() -> None:
    gateway = Gateway()
    payment = gateway.pay(currency="GBP", conversion={"currency": "EUR", "amount": 1200})
    refund = gateway.change(payment, refund=500)
    record = gateway.record(payment)
    names = ("currencyiso3a", "baseamount", "dcccurrencyiso3a", "dccbaseamount", "dccenabled")
    assert [record[name] for name in names] == ["EUR", "1200", "GBP", "1000", "1"]
    assert [gateway.record(refund)[name] for name in names] == ["EUR", "600", "GBP", "500", "1"]
    gateway.night()
    truth = gateway.truth(payment)
    assert (truth.currency, truth.paid, truth.refunded) == ("GBP", 1000, 500)


def test_query_finds_children_by_their_parent() -> None:
    gateway = Gateway()
    payment = gateway.pay(settlestatus="100")
    refund = gateway.change(payment, refund=400)
    found = gateway.query(parenttransactionreference=[payment])["records"]
    assert [one["transactionreference"] for one in found] == [refund]


@pytest.mark.parametrize("odd", ["57-9", "57-9-1x", ""])
def test_query_with_one_malformed_reference_is_refused_as_a_whole(odd: str) -> None:
    gateway = Gateway()
    payment = gateway.pay()
    refused = gateway.query(transactionreference=[payment, odd])
    assert (refused["errorcode"], refused["errordata"]) == ("30000", ["transactionreference"])
    assert "records" not in refused


def test_query_is_refused_as_long_as_it_names_a_refused_transaction() -> None:
    gateway = Gateway()
    payment, refused = gateway.pay(), gateway.pay(refused=True)
    assert gateway.told() == [(payment, "0"), (refused, "0")]
    assert gateway.query(transactionreference=[payment, refused])["errorcode"] == "30000"
    assert gateway.query(orderreference=["O1"])["found"] == "1"
    assert list(gateway.simulator.book.payments) == [payment]


def test_query_returns_at_most_500_records_and_does_not_say_so() -> None:
    gateway = Gateway()
    for _ in range(501):
        gateway.pay(notify=False)
    answer = gateway.query(orderreference=["O1"])
    assert (answer["found"], len(answer["records"])) == ("500", 500)


def test_site_without_security_sends_no_hash() -> None:
    gateway = Gateway(site_security=False)
    gateway.pay()
    assert b"responsesitesecurity" not in gateway.deliveries[0].body


def test_custom_fields_of_the_shop_are_sent_and_hashed() -> None:
    gateway = Gateway(custom_fields={"MyBasket": "42"})
    gateway.pay()
    form = {name: values[0] for name, values in parse_qs(gateway.deliveries[0].body.decode()).items()}
    assert form["MyBasket"] == "42"
    assert form.pop("responsesitesecurity") == security_hash(form, "word")


def test_clock_with_short_days_passes_a_night_after_each() -> None:
    now = [1_000_000.0]
    clock = GatewayClock(10.0, None, lambda: now[0])
    first = clock.today
    assert clock.nights_over() == []
    now[0] += 25
    assert [(one - first).days for one in clock.nights_over()] == [0, 1]
    assert clock.text()[11:] == "12:00:00"
    clock.next_day()
    assert [(one - first).days for one in clock.nights_over()] == [2]


def test_book_says_what_a_night_to_come_will_change() -> None:
    gateway = Gateway(day_seconds=3600.0)
    gateway.pay()
    gateway.pay(settles_in_days=3)
    gateway.pay(errorcode="70000")
    gateway.pay(payment_type="SOFORT", settlestatus="10")
    assert gateway.simulator.summary()["unsettled"] == 2
    gateway.night()
    assert gateway.simulator.summary()["unsettled"] == 1
