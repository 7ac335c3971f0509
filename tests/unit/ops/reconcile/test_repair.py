"""The lookups that repair differences: which are allowed, and each only once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from paynotify.ops.reconcile.compare import PaymentDifference, PaymentEntry
from paynotify.ops.reconcile.repair import limit_lookups, lookup_id, outputs, plan_repair
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import Lookup, decode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from paynotify.schemas.status import Status
from tests.fakes.accounts import account

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(
    payment_id: str | None = "p1", status: Status | None = "captured", value: int | None = 1000, **more: Any
) -> PaymentEntry:
    amount = Money(value, more.pop("currency", "EUR")) if value is not None else None
    return PaymentEntry(
        **{"payment_id": payment_id, "order_id": "o1", "status": status, "amount": amount, "at": NOON, **more}
    )


def difference(there: PaymentEntry | None, here: PaymentEntry | None = None) -> PaymentDifference:
    entry = there or here
    assert entry is not None
    return PaymentDifference(
        kind="missing_here", payment_id=entry.payment_id, order_id=entry.order_id, here=here, there=there
    )


def lookups(provider: str, *differences: PaymentDifference, listed: bool = True, **settings: Any) -> list[Lookup]:
    return list(plan_repair(account(provider, **settings).merchant, differences, NOON, listed=listed).lookups.values())


def test_lookup_has_the_same_id_for_the_whole_day() -> None:
    shop = account("trustpayments").merchant
    two = [difference(entry(one, "refunded"), entry(one)) for one in ("57-9-1", "57-9-2")]
    found = plan_repair(shop, two, NOON, listed=True)  # both of the order o1
    (lookup,) = found.lookups.values()
    assert found.lookups.keys() == plan_repair(shop, two, NOON + timedelta(hours=11), listed=True).lookups.keys()
    assert found.lookups.keys() != plan_repair(shop, two, NOON + timedelta(hours=13), listed=True).lookups.keys()
    assert lookup_id(lookup, NOON) in found.lookups


BY_PAYMENT: Final = ("57-9-1", {"recovery": "1"})
BY_ORDER: Final = (None, {"orderreference": "o1", "recovery": "1"})


@pytest.mark.parametrize(
    ("there", "here", "listed", "expected"),
    [
        (entry("57-9-1"), None, True, BY_PAYMENT),
        (entry("57-9-1"), entry("57-9-1", "authorised"), True, BY_PAYMENT),
        # refunds are separate transactions, which only the order leads to
        (entry("57-9-1", "refunded"), None, True, BY_ORDER),
        (entry("57-9-1", "refunded"), entry("57-9-1"), False, BY_ORDER),
        # the order may have a payment that was never observed
        (entry(None), entry("57-9-1", "declined"), False, BY_ORDER),
        (entry(None), None, False, BY_ORDER),
        # a shop may format order ids differently
        (entry("57-9-1", "refunded", order_id="#1"), None, False, BY_PAYMENT),
    ],
)
def test_lookup_is_by_payment_unless_only_the_order_shows_everything(
    there: PaymentEntry, here: PaymentEntry | None, listed: bool, expected: tuple[str | None, dict[str, str]]
) -> None:
    (lookup,) = lookups("trustpayments", difference(there, here), listed=listed)
    assert (lookup.reference, lookup.arguments) == expected


@pytest.mark.parametrize(
    ("provider", "settings", "count"),
    [
        ("nevogate", {}, 0),
        ("nevogate", {"recover_by_details": True}, 1),
        ("omnikassa", {}, 0),
    ],
)
def test_lookups_follow_the_providers_rules(provider: str, settings: dict[str, Any], count: int) -> None:
    payment = entry("a4d6f6f27f2116da21da62d705dbd7ef")
    found = plan_repair(account(provider, **settings).merchant, [difference(payment, payment)], NOON, listed=False)
    assert len(found.lookups) == count
    assert sum(found.left_out.values()) == 1 - count
    assert all(one.operation == "details" for one in found.lookups.values())


def test_lookups_are_limited_to_the_hourly_quota_in_a_fixed_order() -> None:
    shop = account("omnikassa", refresh_token={"value": "t"}).merchant
    ids = [f"1d0a95f4-2589-439b-9562-c50aa19f9c{number:02x}" for number in range(10)]
    found, again = (
        plan_repair(shop, [difference(entry(one)) for one in order], NOON, listed=False)
        for order in (ids, list(reversed(ids)))
    )
    for one in (found, again):
        limit_lookups(one, 4)
    assert [one.reference for one in sorted(found.lookups.values(), key=lambda one: str(one.reference))] == ids[:4]
    assert found.lookups.keys() == again.lookups.keys()
    assert sum(found.left_out.values()) == 6
    limit_lookups(found, -1)
    assert found.lookups == {}


def test_payment_missing_there_causes_no_lookup() -> None:
    found = plan_repair(account("trustpayments").merchant, [difference(None, entry("57-9-1"))], NOON, listed=True)
    assert found.lookups == {}
    assert "cannot add anything" in next(iter(found.left_out))


def test_queued_lookup_states_its_cause_and_time() -> None:
    found = plan_repair(account("trustpayments").merchant, [difference(entry("57-9-1"))], NOON, listed=True)
    (output,) = outputs(found, KafkaSettings(topic_prefix="p."))
    record = Record(output.topic, 0, 0, output.key, output.value, output.headers, 0.0)
    lookup = decode(record.value, Lookup)
    assert (output.topic, output.key) == ("p.lookups.trustpayments", b"shop/57-9-1")
    assert record.header("ce_id") in found.lookups
    assert record.header("ce_time") == lookup.received_at == "2026-11-22T12:00:00.000Z"
    assert (lookup.notification_id, lookup.arguments["recovery"]) == ("reconcile", "1")
