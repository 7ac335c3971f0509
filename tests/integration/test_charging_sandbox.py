"""A sandbox whose merchant may charge: the gateway calls the ingress at the charge's own URLs, and is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest

from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests import topics_reader

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 40.0


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    plan = Plan(
        kafka=kafka,
        consumers=False,
        merchants={"nevogate": ("shop-hu",)},
        with_url_token=("shop-hu",),
        charges={"shop-hu": {"expires_seconds": 60}},
        simulator={"nevogate": {"pending_seconds": 30, "doubled_share": 1}},
    )
    with Sandbox(plan) as running:
        yield running


def _call(sandbox: Sandbox, method: str, **arguments: Any) -> dict[str, Any]:
    shop = sandbox.accounts[0].shop
    answer = httpx.post(
        f"{sandbox.providers['nevogate'].address}/api/payment/",
        content=urlencode({"method": method, "json": json.dumps(arguments)}),
        headers={"Content-Type": "application/x-www-form-urlencoded", "User-Agent": f"{method} | shop | Python | 3.12"},
        auth=(shop["store_name"], shop["api_key"]),
    )
    found: dict[str, Any] = answer.json()
    return found


def _statuses(sandbox: Sandbox, transaction: str) -> list[str]:
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.STATUS))
    return [one["status"] for one in topics_reader.payments(records).get(f"shop-hu/{transaction}", [])]


def _charged(sandbox: Sandbox, outcome: str) -> str:
    """A charge started as a merchant would, at the URLs its configuration names."""
    merchant = sandbox.configuration.merchants[0]
    assert isinstance(merchant, NevogateMerchant)
    assert merchant.charges is not None
    token = sandbox.accounts[0].shop["url_token"]
    url = f"{merchant.charges.public_url}/notifications/nevogate/shop-hu?token={token}"
    gateway = sandbox.providers["nevogate"]
    reference = gateway.pay(
        order_id="REG", amount=100, currency="EUR", registration="active", outcome=outcome, notify=False
    )
    opened = _call(
        sandbox,
        "InitRP",
        StoreName=merchant.store_name,
        ReferenceTransactionId=reference,
        ResponseUrl=url,
        NotificationUrl=url,
        Amount="19.90",
        OrderId=outcome,
    )
    transaction = str(opened["TransactionId"])
    assert _call(sandbox, "StartRP", TransactionId=transaction)["ResultCode"] in ("SUCCESSFUL", "PENDING", "ERROR")
    return transaction


@pytest.mark.parametrize(
    ("outcome", "status", "calls"),
    [("SUCCESSFUL", "authorised", 2), ("PENDING-SUCCESSFUL", "authorised", 3), ("ERROR", "failed", 2)],
)
def test_call_about_a_charge_gets_its_result_and_the_status_is_published(
    sandbox: Sandbox, outcome: str, status: str, calls: int
) -> None:
    transaction = _charged(sandbox, outcome)
    assert wait_for(lambda: _statuses(sandbox, transaction) == [status], within_seconds=DEADLINE_SECONDS, every=0.3)
    gateway = sandbox.providers["nevogate"]
    assert wait_for(
        lambda: gateway.book()["calls"][transaction]["results"] == calls, within_seconds=DEADLINE_SECONDS, every=0.3
    )
    book = gateway.book()
    assert book["calls"][transaction] == {"attempted": calls, "acknowledged": calls, "results": calls}
    assert (book["unanswered"], book["uncaused"]) == ([], [])
    assert book["money"][transaction]["moved"] == (status == "authorised")
