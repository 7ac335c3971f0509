"""Signed events through whole processes: every algorithm, a rotation while the bank's keys are away, foreign events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from paynotify.sandbox.observer import Observer
from paynotify.sandbox.simulators.smartpay.simulator import KEY_SET, KEY_SET_PATH
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.sandbox.verification import settled
from tests.acceptance.contract import assert_records_fit
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer as TopicObserver
from tests.topics_reader import counts

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 90.0
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512")
STATUSES: Final = ("COMPLETED", "CANCELLED", "EXPIRED")
ASKS, BELIEVES, BOTH = "shop-asks", "shop-believes", "shop-both"
PLAN: Final = Plan(
    merchants={"smartpay": (ASKS, BELIEVES, BOTH), "omnikassa": ("shop-nl",)},
    merchant={BELIEVES: {"truth": "event"}, BOTH: {"same_as": "shop-nl"}},
    # a key that was missing is fetched half a minute later: the tries must last longer
    configuration={"worker": {"retry_delays_seconds": [0.5, 5, 10, 10, 10]}},
    partitions=2,
    consumers=False,
)


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(PLAN)


@pytest.fixture(scope="module")
def seen(sandbox: Sandbox) -> Iterator[Observer]:
    one = Observer(sandbox.bootstrap, sandbox.prefix)
    one.start()
    yield one
    one.close()


def pay(sandbox: Sandbox, **order: Any) -> str:
    return sandbox.providers["smartpay"].pay(order_id="O-1", **{"merchant": ASKS, "amount": 1050, **order})


def everything_right(sandbox: Sandbox, seen: Observer) -> bool:
    """Whether every order of the bank's ledger has its status and amounts, and nothing waits."""
    seen.read()
    books = {provider: control.book() for provider, control in sandbox.providers.items()}
    return settled(books, seen)


def rejected(seen: Observer) -> dict[str, int]:
    return {reason: len(ids) for (provider, reason), ids in seen.rejected.items() if provider == "smartpay"}


def test_orders_are_published_as_the_bank_has_them(sandbox: Sandbox, seen: Observer) -> None:
    for number, algorithm in enumerate(ALGORITHMS):
        for merchant in (ASKS, BELIEVES):
            pay(sandbox, algorithm=algorithm, merchant=merchant, status=STATUSES[number % 3])
            pay(sandbox, algorithm=algorithm, merchant=merchant, odd="twice")
    soon(lambda: everything_right(sandbox, seen), DEADLINE_SECONDS, "not every order is published")
    assert rejected(seen) == {}
    assert len(seen.duplicates["smartpay"]) == 2 * len(ALGORITHMS), "a second subscription's copy is a duplicate"
    assert {one.last["source"] for name, one in seen.payments.items() if name.startswith(ASKS)} == {"ORDER"}
    assert {one.last["source"] for name, one in seen.payments.items() if name.startswith(BELIEVES)} == {"EVENT"}


def test_foreign_and_forged_events_are_stored_answered_and_rejected(sandbox: Sandbox, seen: Observer) -> None:
    bank = sandbox.providers["smartpay"]
    before = len(seen.received["smartpay"])
    for odd in ("foreign", "changed", "test", "unknown_type"):
        pay(sandbox, odd=odd)
    soon(lambda: everything_right(sandbox, seen) and sum(rejected(seen).values()) == 2, DEADLINE_SECONDS, "not judged")
    assert rejected(seen) == {"mismatch": 1, "bad_signature": 1}
    soon(lambda: seen.read() == 0 and len(seen.received["smartpay"]) == before + 4, DEADLINE_SECONDS, "not stored")
    book = bank.book()
    assert book["violations"] == [], "every answer was ack"
    assert book["counters"]["events.acknowledged"] == book["counters"]["events"]


def test_key_that_is_published_late_costs_no_event(sandbox: Sandbox, seen: Observer) -> None:
    """Also while a worker begins anew and knows only the set on its disk."""
    bank = sandbox.providers["smartpay"]
    bank.fault("broken", path=KEY_SET_PATH, for_seconds=None)
    sandbox.workers[0].kill()
    sandbox.start_worker(0)
    pay(sandbox, merchant=BELIEVES)
    soon(lambda: everything_right(sandbox, seen), DEADLINE_SECONDS, "the set on disk was not used")
    bank.change(KEY_SET, rotate="ES256")
    late = pay(sandbox, merchant=BELIEVES)
    held = sandbox.topic("notifications.smartpay.retry.2")
    soon(lambda: counts(sandbox.bootstrap, held)[held] > 0, DEADLINE_SECONDS, "the event did not wait")
    bank.clear_faults()
    soon(lambda: everything_right(sandbox, seen), 120, "the event was not verified after the key was published")
    assert seen.payments[f"{BELIEVES}/{late}"].last["status"] == "captured"
    assert "unknown_key" not in rejected(seen)


def test_event_of_the_same_webshop_is_the_other_merchants_payment(sandbox: Sandbox, seen: Observer) -> None:
    payment = pay(sandbox, merchant=BOTH)
    soon(lambda: seen.read() == 0 and f"shop-nl/{payment}" in seen.payments, DEADLINE_SECONDS, "not published")
    assert seen.payments[f"shop-nl/{payment}"].last["provider"] == "omnikassa"


def test_audit_accounts_for_everything(sandbox: Sandbox, seen: Observer) -> None:
    sandbox.command("audit", "--since", "2020-01-01T00:00:00Z", "--config", str(sandbox.config_path))
    assert seen.contradictions == []


def test_records_are_as_the_contract_documents_say(observer: TopicObserver) -> None:
    observer.read()
    assert assert_records_fit(observer.records) >= {"NotificationWaiting"}
