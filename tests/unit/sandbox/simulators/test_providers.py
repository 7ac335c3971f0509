"""The simulators keep the providers' rules: driven as a merchant would, through their own HTTP."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest

from paynotify.processors.providers.registry import provider_specs
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.simulators.omnikassa.signature import sign
from tests.fakes.accounts import account, response, waiting
from tests.fakes.gateway import world
from tests.fakes.http_receiver import Receiver

KEY = "c2FuZGJveC1rZXktb25lLW5vdC1hLXNlY3JldA=="
OTHER_KEY = "c2FuZGJveC1rZXktdHdvLW5vdC1hLXNlY3JldA=="
PULL = "/omnikassa-api/order/server/api/v2/events/results/merchant.order.status.changed"
SHOPS: dict[str, dict[str, Any]] = {
    "omnikassa": {"merchant": "shop", "poi_id": 2004, "signing_keys": [KEY], "refresh_token": "refresh"},
    "trustpayments": {
        "merchant": "shop",
        "site_reference": "test_site1",
        "notification_password": "word",
        "username": "ws@shop",
        "password": "secret",
        "extra_fields": ["baseamount", "currencyiso3a", "parenttransactionreference"],
    },
    "nevogate": {"merchant": "shop", "store_name": "store", "api_key": "key"},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


Start = Callable[..., httpx.Client]


@pytest.fixture
def start(tmp_path: Path, receiver: Receiver) -> Iterator[Start]:
    children: list[Child] = []
    clients: list[httpx.Client] = []

    def started(provider: str, shop: dict[str, Any] | None = None, **settings: Any) -> httpx.Client:
        file = tmp_path / "settings.json"
        shops = [{**SHOPS[provider], **(shop or {})}]
        file.write_text(json.dumps({"shops": shops, "target": receiver.address, **settings}), "utf-8")
        command = [sys.executable, "-m", "paynotify.sandbox.simulator", provider, "--settings", str(file)]
        child = Child(provider, command, tmp_path / f"{secrets.token_hex(4)}.log")
        children.append(child)
        port = child.wait_for_event("listening")["port"]
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10))
        return clients[-1]

    yield started
    for client in clients:
        client.close()
    for child in children:
        assert child.stop() == 0


def _pay(client: httpx.Client, **order: Any) -> str:
    answer = client.post("/control/payments", json={"order_id": "O1", "amount": 1050, **order})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["payment_id"])


def _book(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/control/book").json()
    return found


def _ping(receiver: Receiver, count: int) -> dict[str, Any]:
    ping: dict[str, Any] = json.loads(receiver.wait_for(count)[count - 1][2])
    fields = [ping[name] for name in ("authentication", "expiry", "eventName", "poiId")]
    assert ping["signature"] in (sign(KEY, fields), sign(OTHER_KEY, fields))
    return ping


def _pull(client: httpx.Client, token: str, path: str = PULL) -> httpx.Response:
    return client.get(path, headers={"Authorization": f"Bearer {token}"})


def test_omnikassa_hands_out_a_hundred_results_a_page_and_each_only_once(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=20)
    orders = [{"order_id": f"O{number}", "amount": 100} for number in range(150)]
    assert client.post("/control/payments", json=orders).status_code == 200
    token = _ping(receiver, 1)["authentication"]
    pages = [_pull(client, token).json() for _ in range(3)]
    assert [len(page["orderResults"]) for page in pages] == [100, 50, 0]
    assert [page["moreOrderResultsAvailable"] for page in pages] == [True, False, False]
    assert pages[2]["signature"] == sign(KEY, ["false"])
    assert len({one["omnikassaOrderId"] for page in pages for one in page["orderResults"]}) == 150


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("foreign", "unknown_merchant"),
        ("no_id", "unreadable_answer"),
        ("no_amount", "unreadable_answer"),
        ("surrogate", "unreadable_answer"),
        ("huge_amount", "unreadable_answer"),
    ],
)
def test_omnikassas_odd_order_is_one_element_of_a_page_that_verifies(
    start: Start, receiver: Receiver, odd: str, reason: str
) -> None:
    client = start("omnikassa", time_scale=20)
    known = [_pay(client, order_id="O1"), _pay(client, order_id="odd", odd=odd), _pay(client, order_id="O2")]
    page = _pull(client, _ping(receiver, 1)["authentication"])
    shop = account("omnikassa", poi_id=2004, signing_keys=[{"value": KEY}])
    interpretation = provider_specs()["omnikassa"].provider.interpret(response(page.content), shop)
    assert [one.payment_id for one in interpretation.observations] == [known[0], known[2]]
    assert [(one.place, one.reason) for one in interpretation.odd] == [("orderResults/1", reason)]
    assert set(_book(client)["payments"]) == {known[0], known[2]}


@pytest.mark.parametrize(
    ("kind", "readable"),
    [
        ("byte_order_mark", True),
        ("empty_encoding", True),
        ("unknown_encoding", True),
        ("encoding_forgotten", True),
        ("wrong_type", True),
        ("broken_compression", False),
    ],
)
async def test_page_through_a_careless_proxy_is_stored(
    start: Start, receiver: Receiver, kind: str, readable: bool
) -> None:
    client = start("omnikassa", time_scale=20)
    _pay(client)
    ping = _ping(receiver, 1)
    client.post("/control/faults", json={"kind": kind, "calls": 1})
    shop = account(
        "omnikassa",
        poi_id=2004,
        signing_keys=[{"value": KEY}],
        base_url=str(client.base_url).rstrip("/") + "/omnikassa-api",
    )
    arguments = {"event": ping["eventName"], "token": ping["authentication"], "expires": ping["expiry"]}
    provider = provider_specs()["omnikassa"].provider
    async with world() as here:
        (call,) = provider.calls([waiting("omnikassa", **arguments)], here.call_context())
        await provider.fetch(call, shop, here.call_context(), here.store)
    (stored,) = here.stored
    if readable:
        assert len(provider.interpret(stored, shop).observations) == 1
    else:
        assert stored.content_encoding == "gzip"


def test_omnikassa_repeats_the_ping_with_a_new_token_until_somebody_pulls(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=300)
    _pay(client)
    assert _ping(receiver, 1)["authentication"] != _ping(receiver, 2)["authentication"]
    token = _ping(receiver, 3)["authentication"]
    assert len(_pull(client, token).json()["orderResults"]) == 1
    assert wait_for(lambda: client.get("/control/counters").json()["webhooks.waiting"] == 0, within_seconds=5)


def test_omnikassa_refuses_a_pull_with_an_expired_or_unknown_token(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=20, token_seconds=0.02)
    _pay(client)
    for token in (_ping(receiver, 1)["authentication"], "made-up"):
        refused = _pull(client, token)
        assert (refused.status_code, refused.json()["errorCode"]) == (401, 5001)
    assert _book(client)["uncollected"] == 1


def test_omnikassa_allows_six_calls_a_second(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=20)
    _pay(client)
    token = _ping(receiver, 1)["authentication"]
    assert [_pull(client, token).status_code for _ in range(7)] == [200] * 6 + [429]


def test_omnikassa_sends_one_ping_for_each_active_key_and_signs_with_it(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", {"signing_keys": [KEY, OTHER_KEY]}, time_scale=20)
    _pay(client)
    receiver.wait_for(2)
    tokens = [_ping(receiver, number)["authentication"] for number in (1, 2)]
    assert [_pull(client, token).json()["signature"] for token in reversed(tokens)][1] in (
        sign(KEY, ["false"]),
        sign(OTHER_KEY, ["false"]),
    )


def test_omnikassa_tells_one_order_to_the_holder_of_an_access_token(start: Start) -> None:
    client = start("omnikassa", time_scale=20)
    order = _pay(client, status="EXPIRED", brand="VISA")
    assert client.get(f"/v2/orders/{order}", headers={"Authorization": "Bearer refresh"}).status_code == 401
    access = client.get("/omnikassa-api/gatekeeper/refresh", headers={"Authorization": "Bearer refresh"}).json()
    told = client.get(f"/v2/orders/{order}", headers={"Authorization": f"Bearer {access['token']}"}).json()
    assert told["order"]["status"] == "EXPIRED"


def _query(client: httpx.Client, auth: tuple[str, str] = ("ws@shop", "secret"), **filters: list[str]) -> Any:
    wanted = {name: [{"value": value} for value in values] for name, values in filters.items()}
    request = {"requestreference": "A1", "requesttypedescriptions": ["TRANSACTIONQUERY"], "filter": wanted}
    answer = client.post("/json/", json={"alias": auth[0], "version": "1.00", "request": [request]}, auth=auth)
    if answer.status_code != 200:
        return answer.status_code
    assert answer.json()["requestreference"] == "A1"
    return answer.json()["response"][0]


def test_trust_payments_answers_for_many_transactions_and_leaves_out_the_unknown(start: Start) -> None:
    client = start("trustpayments", visible_within_seconds=0)
    known = [_pay(client, order_id=f"O{number}") for number in range(3)]
    found = _query(client, sitereference=["test_site1"], transactionreference=[*known, "1-1-1"])
    assert (found["errorcode"], found["found"]) == ("0", "3")
    assert [record["transactionreference"] for record in found["records"]] == known
    assert all(isinstance(value, str) for record in found["records"] for value in record.values())


def test_trust_payments_does_not_find_a_payment_before_its_time(start: Start) -> None:
    client = start("trustpayments")
    late = _pay(client, visible_after_seconds=3600)
    answer = _query(client, sitereference=["test_site1"], transactionreference=[late])
    assert (answer["errorcode"], answer["found"], answer.get("records")) == ("0", "0", None)


def test_trust_payments_refuses_wrong_credentials_and_a_query_without_filter(start: Start) -> None:
    client = start("trustpayments")
    assert _query(client, ("ws@shop", "wrong"), sitereference=["test_site1"]) == 401
    assert _query(client)["errorcode"] == "60019"


def test_trust_payments_repeats_an_unacknowledged_notification_byte_for_byte(start: Start, receiver: Receiver) -> None:
    client = start("trustpayments", time_scale=600)
    receiver.answers = [503, 500]
    _pay(client)
    first, second, third = (body for _, _, body in receiver.wait_for(3))
    assert first == second == third
    assert parse_qs(first.decode())["settlestatus"] == ["0"]


def test_trust_payments_settles_in_the_night_that_the_control_api_asks_for(start: Start, receiver: Receiver) -> None:
    client = start("trustpayments", visible_within_seconds=0)
    payment = _pay(client)
    receiver.wait_for(1)
    assert client.post("/control/night", json={"days": 2}).json()["settled"] == 1
    (record,) = _query(client, sitereference=["test_site1"], transactionreference=[payment])["records"]
    assert record["settlestatus"] == "100"
    counters = client.get("/control/counters").json()
    assert (counters["webhooks.waiting"], counters["webhooks.attempted"]) == (0, 1)
    assert client.post("/control/night", json={"days": 0}).status_code == 400


def _result(client: httpx.Client, payment: str, *, key: str = "key", **headers: str) -> dict[str, Any]:
    answer = client.post(
        "/api/payment/",
        content=urlencode({"method": "Result", "json": json.dumps({"TransactionId": payment})}),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Result | shop.example | Python | 3.12.1",
            **headers,
        },
        auth=("store", key),
    )
    found: dict[str, Any] = answer.json()
    return found


def test_nevogate_sends_two_signals_and_owes_a_result_for_each(start: Start, receiver: Receiver) -> None:
    client = start("nevogate", time_scale=20)
    payment = _pay(client, auto_commit=False)
    calls = receiver.wait_for(2)
    assert sorted(method for method, _, _ in calls) == ["GET", "POST"]
    assert wait_for(lambda: _book(client)["calls"][payment]["acknowledged"] == 2, within_seconds=5)
    assert _book(client)["unanswered"] == [payment]
    answer = _result(client, payment)
    assert (answer["ResultCode"], answer["CommitState"], answer["Amount"]) == ("SUCCESSFUL", "PENDING", "10.50")
    assert _book(client)["unanswered"] == [payment]
    _result(client, payment)
    assert _book(client)["unanswered"] == []


def test_nevogate_counts_a_result_without_cause_but_not_the_same_call_tried_again(
    start: Start, receiver: Receiver
) -> None:
    client = start("nevogate", time_scale=20)
    payment = _pay(client, response_url=False)
    receiver.wait_for(1)
    for _ in range(3):
        _result(client, payment, **{"X-Request-Id": "one"})
    assert _book(client)["uncaused"] == []
    _result(client, payment, **{"X-Request-Id": "two"})
    assert _book(client)["uncaused"] == [payment]


def test_nevogate_understands_multipart_and_notes_a_wrong_user_agent(start: Start) -> None:
    client = start("nevogate")
    payment = _pay(client, notify=False)
    parts = {"method": (None, "Details"), "json": (None, json.dumps({"TransactionId": payment}))}
    answer = client.post("/api/payment/", files=parts, auth=("store", "key")).json()
    assert answer["CommonData"]["TransactionId"] == payment
    (broken,) = _book(client)["violations"]
    assert (broken["rule"], broken["about"]) == ("user agent", "Details")


def test_nevogate_names_what_is_wrong_with_a_request(start: Start) -> None:
    client = start("nevogate")
    assert _result(client, "0" * 32)["ResultCode"] == "UnknownTransaction"
    assert _result(client, "0" * 32, key="wrong")["ResultCode"] == "WrongApikey"


def test_nevogate_charges_a_hold_once(start: Start) -> None:
    client = start("nevogate")
    payment = _pay(client, auto_commit=False, notify=False)
    assert client.post(f"/control/payments/{payment}", json={"close": True}).status_code == 200
    assert client.post(f"/control/payments/{payment}", json={"close": True}).status_code == 400
    assert _book(client)["payments"][payment]["status"] == "captured"


@pytest.mark.parametrize(
    ("fault", "seen"), [("unavailable", 503), ("too_many", 429), ("html", 200), ("slow", 200), ("latency", 200)]
)
def test_fault_hits_the_providers_api_and_not_the_control_api(start: Start, fault: str, seen: int) -> None:
    client = start("nevogate")
    client.post("/control/faults", json={"kind": fault, "seconds": 0.2})
    answer = client.post("/api/payment/")
    assert answer.status_code == seen
    assert answer.headers["content-type"].startswith("text/html" if fault == "html" else ("text", "application"))
    client.delete("/control/faults")
    assert _book(client)["counters"][f"faults.{fault}"] == 1


def test_lost_answer_comes_after_the_pull_has_emptied_the_queue(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=20)
    _pay(client)
    token = _ping(receiver, 1)["authentication"]
    client.post("/control/faults", json={"kind": "lose", "calls": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        _pull(client, token)
    assert _pull(client, token).json()["orderResults"] == []
    client.post("/control/faults", json={"kind": "drop", "calls": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        _pull(client, token)


def test_duplicate_delivery_has_equal_bytes_and_is_logged_without_its_secret(
    start: Start, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "deliveries.jsonl"
    receiver.answers = [503]
    client = start("trustpayments", time_scale=300, copied_share=1.0, unrest_seconds=0.2, delivery_log=str(log))
    _pay(client)
    bodies = [body for _, _, body in receiver.wait_for(3)]
    assert len(set(bodies)) == 1
    assert wait_for(lambda: client.get("/control/counters").json()["webhooks.waiting"] == 0, within_seconds=5)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert sorted(line["status"] for line in lines) == [200, 200, 503]
    assert {line["sha256"] for line in lines} == {hashlib.sha256(bodies[0]).hexdigest()}


def test_copied_ping_repeats_its_token_and_starts_no_rhythm_of_its_own(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=300, copied_share=1.0, unrest_seconds=0.01)
    _pay(client)
    bodies = [body for _, _, body in receiver.wait_for(2)]
    assert bodies[0] == bodies[1]
    _pull(client, json.loads(bodies[0])["authentication"])
    assert wait_for(lambda: client.get("/control/counters").json()["webhooks.waiting"] == 0, within_seconds=5)
    counters = client.get("/control/counters").json()
    assert counters["webhooks.attempted"] == 2 * counters["pings"]


def test_late_notification_is_overtaken_by_younger_ones(start: Start, receiver: Receiver) -> None:
    client = start("trustpayments", late_share=0.5, unrest_seconds=0.5, seed=1)
    payments = [_pay(client, order_id=f"O{number}") for number in range(12)]
    came = [parse_qs(body.decode())["transactionreference"][0] for _, _, body in receiver.wait_for(12)]
    assert sorted(came) == sorted(payments)
    assert came != payments


def test_bank_keeps_a_book_of_the_pages_it_has_handed_out(start: Start, receiver: Receiver) -> None:
    client = start("omnikassa", time_scale=20)
    payment = _pay(client)
    token = _ping(receiver, 1)["authentication"]
    signature = _pull(client, token).json()["signature"]
    assert _pull(client, token).json()["orderResults"] == []
    (page,) = _book(client)["pages"]
    assert (page["signature"], page["merchant"], page["payments"]) == (signature, "shop", [payment])
