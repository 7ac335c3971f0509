"""A stranger floods Nevogate's unsigned URL with well-formed calls about made-up transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from paynotify.sandbox.attacker import Attacker
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.shop import ExampleShop
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests.acceptance.ledger import Observer, assert_right, header, settle
from tests.acceptance.shopping import buy
from tests.topics_reader import lag

pytestmark = pytest.mark.kafka

FLOOD = 400
BURST = 40
PER_SECOND = 2.0
UNKNOWN_COST = 5


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    budget = {"per_second": PER_SECOND, "burst": BURST, "unknown_cost": UNKNOWN_COST}
    plan = Plan(
        merchants={"nevogate": ("open", "guarded")},
        with_url_token=["guarded"],
        configuration={"worker": {"unsigned_budget": budget}},
        partitions=2,
        consumers=False,
    )
    with Sandbox(plan) as one:
        yield one


def flood(sandbox: Sandbox, merchant: str) -> None:
    attacker = Attacker(sandbox.ingest_address)
    try:
        answers = {attacker.send(attacker.invented_transaction(merchant)) for _ in range(FLOOD)}
    finally:
        attacker.close()
    assert answers == {200}, "what is wrong with a call is found out later"


def rejected(observer: Observer, merchant: str, reason: str) -> int:
    observer.read()
    source = f"/notifications/nevogate/{merchant}"
    return sum(
        header(one, "ce_source") == source and header(one, "reason") == reason
        for one in observer.records[topics.REJECTED]
    )


def calls(sandbox: Sandbox) -> int:
    return int(sandbox.providers["nevogate"].counters().get("calls", 0))


def announce(sandbox: Sandbox, payments: list[str]) -> None:
    """The shop tells of payments before the gateway does; returns when the one who judges calls knows them."""
    shop = ExampleShop(sandbox.bootstrap, sandbox.prefix)
    try:
        for number, name in enumerate(payments):
            shop.expects("open", f"ANNOUNCED{number}", 500, "HUF", payment_id=name)
    finally:
        shop.close()
    unit = f"{sandbox.prefix}paynotify"
    for group, topic in (("orders", topics.EXPECTED), ("verify.nevogate", topics.known("nevogate"))):
        read = lambda group=group, topic=topic: lag(sandbox.bootstrap, f"{unit}.{group}", sandbox.topic(topic)) == 0  # noqa: E731 - two words of one loop
        assert wait_for(read, within_seconds=30, every=0.2)


def test_merchant_with_a_token_in_its_url_notices_nothing(sandbox: Sandbox, observer: Observer) -> None:
    before = calls(sandbox)
    flood(sandbox, "guarded")
    payments = buy(sandbox, "nevogate", times=40, merchant="guarded")
    assert_right(sandbox, observer)
    assert rejected(observer, "guarded", "missing_signature") == FLOOD
    assert rejected(observer, "guarded", "over_budget") == 0
    signals = (
        sum(
            header(one, "ce_source") == "/notifications/nevogate/guarded"
            for one in observer.records[topics.notifications("nevogate")]
        )
        - FLOOD
    )
    assert calls(sandbox) - before == signals >= 2 * len(payments), "one Result for each genuine call, no other"


def test_flood_without_a_token_costs_the_budget_and_the_surplus_is_replayable(
    sandbox: Sandbox, observer: Observer
) -> None:
    known = buy(sandbox, "nevogate", times=5, merchant="open")
    settle(sandbox, observer)
    announced = buy(sandbox, "nevogate", times=5, merchant="open", notify=False)
    announce(sandbox, announced)
    before = calls(sandbox)
    flood(sandbox, "open")
    # the provider knew the ones, the shop has announced the others: calls about them are free, whatever a stranger does
    for payment in (*known, *announced):
        sandbox.providers["nevogate"].change(payment, copies=1)
    assert_right(sandbox, observer)
    surplus = rejected(observer, "open", "over_budget")
    assert surplus > FLOOD / 2
    asked = FLOOD - surplus
    assert asked <= BURST + 60 * PER_SECOND
    assert calls(sandbox) - before >= asked
    choice = ("replay", "--reason", "over_budget", "--merchant", "open", "--config", str(sandbox.config_path))
    assert str(surplus) in sandbox.command(*choice)
