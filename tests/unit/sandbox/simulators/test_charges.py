"""The simulated gateway's recurring charges: what each call answers, what it signals, and that money moves once."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest

from paynotify.sandbox.billing.bills import read_bills
from paynotify.sandbox.billing.subscribers import register, write
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.simulators.control import Control
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from tests.fakes.http_receiver import Receiver

SHOP: Final = {"merchant": "shop", "store_name": "store", "api_key": "key", "url_token": "TOKEN"}
UNKNOWN: Final = "0" * 32
GATEWAY_CODES: Final = (
    "InactiveStore",
    "InactiveProvider",
    "MissingParameter",
    "MissingRemoteAddress",
    "UnauthorizedAccess",
    "UnauthorizedRemoteAddress",
    "UnknownParameter",
    "UnknownProvider",
    "UnknownProviderForStore",
    "UnknownStore",
    "WrongApikey",
    "WrongParameter",
    "WrongProviderSettings",
    "BORGUN_51",
)


class Gateway:
    """A shop's way to its gateway: the control API beside the calls themselves."""

    def __init__(self, address: str, receiver: Receiver) -> None:
        self.control = Control("nevogate", address)
        self._client = httpx.Client(base_url=address, timeout=5)
        self.receiver = receiver

    def call(self, method: str, **arguments: Any) -> httpx.Response:
        return self._client.post(
            "/api/payment/",
            content=urlencode({"method": method, "json": json.dumps(arguments)}),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "User-Agent": f"{method} | shop.example | Python | 3.12.1",
            },
            auth=("store", "key"),
        )

    def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.call(method, **arguments).json()
        return found

    def register(self, **order: Any) -> str:
        """A payment that registers its means of payment."""
        whole = {"order_id": "REGISTRATION", "amount": 500, "currency": "EUR", "registration": "active", **order}
        return self.control.pay(notify=False, **whole)

    def init(self, reference: str, **arguments: Any) -> dict[str, Any]:
        url = f"{self.receiver.address}/notifications/nevogate/shop?token=own"
        whole = {
            "StoreName": "store",
            "ReferenceTransactionId": reference,
            "ResponseUrl": url,
            "NotificationUrl": url,
            "Amount": "19.90",
            "Currency": "EUR",
            "OrderId": "O1",
            **arguments,
        }
        return self.ask("InitRP", **{name: value for name, value in whole.items() if value is not None})

    def opened(self, reference: str, **arguments: Any) -> str:
        return str(self.init(reference, **arguments)["TransactionId"])

    def charged(self, **order: Any) -> str:
        """A charge whose money is reserved."""
        transaction = self.opened(self.register(**order))
        assert self.ask("StartRP", TransactionId=transaction)["ResultCode"] == "SUCCESSFUL"
        return transaction

    def state(self, transaction: str) -> tuple[str, str]:
        common = self.ask("Details", TransactionId=transaction, GetRelatedTransactions=False)["CommonData"]
        return common["ResultCode"], common["CommitState"]

    def money(self, transaction: str) -> dict[str, Any]:
        found: dict[str, Any] = self.control.book()["money"][transaction]
        return found

    def moved(self, transaction: str) -> tuple[int, int, int, int]:
        money = self.money(transaction)
        return money["moved"], money["reserved"], money["captured"], money["released"]

    def told(self, transaction: str, count: int) -> list[tuple[str, str]]:
        """Method and path of the calls about the transaction, once there are so many."""

        def calls() -> list[tuple[str, str]]:
            return sorted(
                (method, path)
                for method, path, body in list(self.receiver.calls)
                if transaction.encode() in body or transaction in path
            )

        assert wait_for(lambda: len(calls()) >= count, within_seconds=10)
        return calls()

    def counter(self, name: str) -> int:
        return self.control.counters().get(name, 0)

    def close(self) -> None:
        self._client.close()
        self.control.close()


Start = Callable[..., Gateway]


def _start(directory: Path, receiver: Receiver, **settings: Any) -> tuple[Gateway, Child]:
    file = directory / "settings.json"
    whole = {"shops": [SHOP], "target": receiver.address, "signals_within_seconds": 0, **settings}
    file.write_text(json.dumps(whole), "utf-8")
    command = [sys.executable, "-m", "paynotify.sandbox.simulator", "nevogate", "--settings", str(file)]
    child = Child("nevogate", command, directory / "simulator.log")
    return Gateway(f"http://127.0.0.1:{child.wait_for_event('listening')['port']}", receiver), child


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a gateway with settings of its own."""
    receiver = Receiver()
    running: list[tuple[Gateway, Child]] = []

    def started(**settings: Any) -> Gateway:
        running.append(_start(tmp_path, receiver, **settings))
        return running[-1][0]

    yield started
    for gateway, child in running:
        gateway.close()
        assert child.stop() == 0
    receiver.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway as it usually is, one for all tests: each looks at its own transactions alone."""
    receiver = Receiver()
    one, child = _start(tmp_path_factory.mktemp("gateway"), receiver)
    yield one
    one.close()
    assert child.stop() == 0
    receiver.close()


# --- InitRP ------------------------------------------------------------------------------------------------


def test_charge_that_is_opened_moves_nothing_and_may_be_opened_again(gateway: Gateway) -> None:
    reference = gateway.register()
    first, second = gateway.opened(reference), gateway.opened(reference)
    assert first != second
    book = gateway.control.book()
    assert {first, second} <= set(book["orphans"])
    assert gateway.moved(first) == (0, 0, 0, 0)
    assert not {first, second} & set(book["payments"])
    assert gateway.state(first) == ("OPEN", "")


def test_amount_currency_and_customer_are_the_references_unless_named(gateway: Gateway) -> None:
    reference = gateway.register(amount=700, user_id="customer-1")
    transaction = gateway.opened(reference, Amount=None, Currency=None)
    common = gateway.ask("Details", TransactionId=transaction)["CommonData"]
    assert (common["Amount"], common["Currency"], common["UserId"]) == ("7", "EUR", "customer-1")
    assert (common["OrderId"], common["AutoCommit"]) == ("O1", "false")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"Currency": "HUF", "Amount": "20"}, "WrongParameter"),
        ({"UserId": "customer-2"}, "WrongParameter"),
        ({"Amount": "1.234"}, "WrongParameter"),
        ({"Amount": "lots"}, "WrongParameter"),
        ({"Amount": "-1"}, "WrongParameter"),
        ({"OrderId": "o" * 256}, "WrongParameter"),
        ({"OrderId": 7}, "WrongParameter"),
        ({"NotificationUrl": "https://shop.example/" + "n" * 255}, "WrongParameter"),
        ({"NotificationUrl": "ftp://shop.example/"}, "WrongParameter"),
        ({"ModuleName": "m" * 33}, "WrongParameter"),
        ({"StoreName": "another"}, "WrongParameter"),
        ({"ReferenceTransactionId": "x" * 32}, "WrongParameter"),
        ({"NotificationUrl": None}, "MissingParameter"),
        ({"ReferenceTransactionId": ""}, "MissingParameter"),
        ({"Installments": 3}, "UnknownParameter"),
    ],
)
def test_wrong_parameter_has_its_code_and_opens_nothing(gateway: Gateway, arguments: dict[str, Any], code: str) -> None:
    before = gateway.counter("charges.opened")
    answer = gateway.init(gateway.register(user_id="customer-1"), **arguments)
    assert (answer["ResultCode"], answer["TransactionId"]) == (code, None)
    assert gateway.counter("charges.opened") == before


@pytest.mark.parametrize("method", ["InitRP", "StartRP", "Close"])
def test_documented_code_can_be_had_of_every_call(gateway: Gateway, method: str) -> None:
    reference = gateway.register()
    transaction = gateway.opened(reference)
    opened = gateway.counter("charges.opened")
    for code in GATEWAY_CODES:
        gateway.control.fault("refuse", code=code, calls=1, path=method)
        other = gateway.ask("Details", TransactionId=transaction)
        assert other["CommonData"]["ResultCode"] == "OPEN"
        answer = gateway.init(reference) if method == "InitRP" else gateway.ask(method, TransactionId=transaction)
        assert (answer["ResultCode"], answer["TransactionId"]) == (code, None)
    assert gateway.counter("charges.opened") == opened
    assert gateway.moved(transaction) == (0, 0, 0, 0)


def test_refusal_without_a_code_is_no_fault(gateway: Gateway) -> None:
    with pytest.raises(Exception, match="code is required for the kind refuse"):
        gateway.control.fault("refuse")


# --- StartRP -----------------------------------------------------------------------------------------------


def test_charge_reserves_its_amount_and_tells_of_it_at_its_own_url(gateway: Gateway) -> None:
    transaction = gateway.charged()
    assert gateway.state(transaction) == ("SUCCESSFUL", "PENDING")
    assert gateway.moved(transaction) == (1, 1990, 0, 0)
    assert gateway.told(transaction, 1) == [("POST", "/notifications/nevogate/shop?token=own")]
    assert wait_for(lambda: transaction in gateway.control.book()["unanswered"], within_seconds=5)
    gateway.ask("Result", TransactionId=transaction)
    assert transaction not in gateway.control.book()["unanswered"]
    truth = gateway.control.book()["payments"][transaction]
    assert (truth["status"], truth["order_id"]) == ("authorised", "O1")


def test_urls_of_another_machine_reach_the_target_with_their_path_and_token(gateway: Gateway) -> None:
    url = "https://shop.example/pay/notifications/nevogate/shop?token=theirs"
    transaction = gateway.opened(gateway.register(outcome="PENDING-SUCCESSFUL"), NotificationUrl=url, ResponseUrl=url)
    gateway.ask("StartRP", TransactionId=transaction)
    gateway.control.change(transaction, result="SUCCESSFUL")
    assert gateway.told(transaction, 2) == [
        ("GET", f"/pay/notifications/nevogate/shop?token=theirs&TransactionId={transaction}"),
        ("POST", "/pay/notifications/nevogate/shop?token=theirs"),
    ]


def test_second_start_is_refused_counted_and_moves_nothing(gateway: Gateway) -> None:
    transaction, before = gateway.charged(), gateway.counter("charges.started_again")
    assert gateway.ask("StartRP", TransactionId=transaction)["ResultCode"] == "WrongTransactionStatus"
    assert gateway.moved(transaction) == (1, 1990, 0, 0)
    assert gateway.money(transaction)["starts"] == 2
    assert gateway.counter("charges.started_again") == before + 1


@pytest.mark.parametrize(
    ("registration", "code"),
    [("withdrawn", "WrongReferenceTransactionStatus"), ("none", "WrongReferenceTransactionStatus")],
)
@pytest.mark.parametrize("at_init", [False, True])
def test_withdrawn_means_of_payment_is_not_charged(start: Start, registration: str, code: str, at_init: bool) -> None:
    gateway = start(checks_reference_at_init=at_init)
    reference = gateway.register()
    gateway.control.change(reference, registration=registration)
    answer = gateway.init(reference)
    if not at_init:
        answer = gateway.ask("StartRP", TransactionId=answer["TransactionId"])
    assert answer["ResultCode"] == code
    assert not any(one["moved"] for one in gateway.control.book()["money"].values())
    assert gateway.receiver.calls == []


@pytest.mark.parametrize("at_init", [False, True])
def test_unknown_reference_is_not_charged(start: Start, at_init: bool) -> None:
    gateway = start(checks_reference_at_init=at_init)
    answer = gateway.init(UNKNOWN)
    if not at_init:
        answer = gateway.ask("StartRP", TransactionId=answer["TransactionId"])
    assert answer["ResultCode"] == "UnknownReferenceTransaction"


@pytest.mark.parametrize(
    ("outcome", "status"), [("ERROR", "failed"), ("TIMEOUT", "expired"), ("CANCELED", "cancelled")]
)
def test_refused_charge_moves_nothing(gateway: Gateway, outcome: str, status: str) -> None:
    transaction = gateway.opened(gateway.register(outcome=outcome))
    assert gateway.ask("StartRP", TransactionId=transaction)["ResultCode"] == outcome
    assert gateway.moved(transaction) == (0, 0, 0, 0)
    assert [method for method, _ in gateway.told(transaction, 1)] == ["POST"]
    assert gateway.control.book()["payments"][transaction]["status"] == status


@pytest.mark.parametrize(("end", "moved"), [("SUCCESSFUL", 1), ("ERROR", 0), ("TIMEOUT", 0)])
def test_pending_charge_ends_later_and_both_urls_are_called(start: Start, end: str, moved: int) -> None:
    gateway = start(pending_seconds=0.3)
    transaction = gateway.opened(gateway.register(outcome=f"PENDING-{end}"))
    assert gateway.ask("StartRP", TransactionId=transaction)["ResultCode"] == "PENDING"
    assert gateway.money(transaction)["moved"] == 0
    assert [method for method, _ in gateway.told(transaction, 2)] == ["GET", "POST"]
    assert gateway.state(transaction)[0] == end
    assert gateway.money(transaction)["moved"] == moved


def test_charge_never_started_is_open_until_the_gateway_gives_it_up(start: Start) -> None:
    gateway = start(start_within_seconds=60, time_scale=120)
    transaction = gateway.opened(gateway.register())
    assert gateway.state(transaction) == ("OPEN", "")
    gateway.told(transaction, 1)
    assert gateway.state(transaction) == ("TIMEOUT", "")
    assert gateway.counter("charges.never_started") == 1
    assert gateway.ask("StartRP", TransactionId=transaction)["ResultCode"] == "WrongTransactionStatus"
    assert gateway.moved(transaction) == (0, 0, 0, 0)


@pytest.mark.parametrize(("fault", "moved"), [("timeout", 0), ("drop", 0), ("timeout_after", 1), ("lose", 1)])
@pytest.mark.parametrize("method", ["StartRP", "Close"])
def test_call_without_an_answer_was_or_was_not_carried_out(
    gateway: Gateway, fault: Any, moved: int, method: str
) -> None:
    transaction = gateway.opened(gateway.register()) if method == "StartRP" else gateway.charged()
    gateway.control.fault(fault, path=method, calls=1, seconds=0.2)
    with pytest.raises(httpx.TransportError):
        gateway.call(method, TransactionId=transaction)
    done = gateway.money(transaction)["moved" if method == "StartRP" else "closed"]
    assert done == moved
    expected = {"StartRP": ("OPEN", "SUCCESSFUL"), "Close": ("PENDING", "APPROVED")}[method][moved]
    assert expected in gateway.state(transaction)
    assert gateway.money(transaction)["starts" if method == "StartRP" else "closes"] == 1


@pytest.mark.parametrize("fault", ["html_after", "truncated"])
def test_answer_nobody_can_read_comes_after_the_money_moved(gateway: Gateway, fault: Any) -> None:
    transaction = gateway.opened(gateway.register())
    gateway.control.fault(fault, path="StartRP", calls=1)
    answer = gateway.call("StartRP", TransactionId=transaction)
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert gateway.moved(transaction) == (1, 1990, 0, 0)


def test_late_gateway_moves_the_money_after_the_caller_has_given_up(gateway: Gateway) -> None:
    transaction = gateway.opened(gateway.register())
    gateway.control.fault("latency", path="StartRP", calls=1, seconds=0.6)
    gateway._client.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        gateway.call("StartRP", TransactionId=transaction)
    gateway._client.timeout = httpx.Timeout(5)
    assert gateway.state(transaction) == ("OPEN", "")
    assert wait_for(lambda: gateway.state(transaction) == ("SUCCESSFUL", "PENDING"), within_seconds=5)


def test_chances_are_by_call_and_faults_may_be_on_from_the_start(start: Start) -> None:
    gateway = start(
        outcomes={"ERROR": 0.5},
        doubled_share=1.0,
        faults=[{"kind": "lose", "path": "StartRP", "share": 0.5, "for_seconds": None}],
    )
    reference, unanswered = gateway.register(), 0
    transactions = [gateway.opened(reference, OrderId=f"O{number}") for number in range(40)]
    for transaction in transactions:
        try:
            gateway.call("StartRP", TransactionId=transaction)
        except httpx.TransportError:
            unanswered += 1
    book = gateway.control.book()
    moved = sum(book["money"][one]["moved"] for one in transactions)
    assert 5 < unanswered < 35
    assert 5 < moved < 35
    assert book["counters"]["faults.lose"] == unanswered
    gateway.receiver.wait_for(80)
    sums = moved_by_order(book)
    assert sums["O0"]["transactions"] == 1
    assert sum(one["reserved"] for one in sums.values()) == 1990 * moved


def test_customers_made_for_the_biller_can_be_charged_as_life_has_it(gateway: Gateway, tmp_path: Path) -> None:
    write(tmp_path / "bills.csv", register(gateway.control, "shop", 150, month="2026-11"))
    bills = read_bills(tmp_path / "bills.csv")
    assert len({one.order_id for one in bills}) == 150
    ends = Counter[str]()
    for bill in bills:
        charge = gateway.opened(bill.reference_payment_id, Amount=None, Currency=None, OrderId=bill.order_id)
        ends[gateway.ask("StartRP", TransactionId=charge)["ResultCode"]] += 1
        assert gateway.money(charge)["reserved"] in (0, bill.amount.value)
    assert ends["SUCCESSFUL"] > 100
    assert set(ends) <= {"SUCCESSFUL", "ERROR", "PENDING", "WrongReferenceTransactionStatus"}
    assert len(ends) > 2


# --- Close -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "state", "captured"),
    [
        ({}, "APPROVED", 1990),
        ({"Approved": "true", "ApprovedAmount": 0}, "APPROVED", 1990),
        ({"ApprovedAmount": "5.05"}, "APPROVED", 505),
        ({"Approved": "true", "ApprovedAmount": 19.9}, "APPROVED", 1990),
        ({"Approved": "false"}, "DECLINED", 0),
    ],
)
def test_hold_is_closed_once_in_one_of_three_ways(
    gateway: Gateway, arguments: dict[str, Any], state: str, captured: int
) -> None:
    transaction = gateway.charged()
    answer = gateway.ask("Close", TransactionId=transaction, **arguments)
    assert (answer["ResultCode"], answer["TransactionId"]) == ("SUCCESSFUL", transaction)
    assert gateway.state(transaction) == ("SUCCESSFUL", state)
    again = gateway.ask("Close", TransactionId=transaction, **arguments)
    assert again["ResultCode"] == "WrongTransactionStatus"
    assert gateway.moved(transaction) == (1, 1990, captured, 1990 - captured)
    assert gateway.money(transaction)["closes"] == 2
    truth = gateway.control.book()["payments"][transaction]
    assert (truth["paid"], truth["status"]) == (captured, "captured" if captured else "cancelled")


@pytest.mark.parametrize(
    "arguments",
    [
        {"ApprovedAmount": "19.91"},
        {"ApprovedAmount": "-1"},
        {"Approved": "false", "ApprovedAmount": "1"},
        {"Approved": "maybe"},
    ],
)
def test_close_of_what_is_not_held_changes_nothing(gateway: Gateway, arguments: dict[str, Any]) -> None:
    transaction = gateway.charged()
    assert gateway.ask("Close", TransactionId=transaction, **arguments)["ResultCode"] == "WrongParameter"
    assert gateway.state(transaction) == ("SUCCESSFUL", "PENDING")


def test_transaction_never_started_holds_nothing(gateway: Gateway) -> None:
    transaction = gateway.opened(gateway.register())
    assert gateway.ask("Close", TransactionId=transaction)["ResultCode"] == "WrongTransactionStatus"
    assert gateway.ask("Close", TransactionId=UNKNOWN)["ResultCode"] == "UnknownTransaction"


def test_close_is_told_of_only_where_the_gateway_is_said_to(start: Start) -> None:
    gateway = start(signals_close=True)
    transaction = gateway.charged()
    gateway.ask("Close", TransactionId=transaction)
    assert len(gateway.told(transaction, 2)) == 2
