"""A hold is looked at each morning until it is closed or its days are over; the gateway tells nobody of either."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from msgspec.structs import replace

from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.spec import RecoveryQuery
from paynotify.schemas.messages import FollowUp, Observation
from paynotify.schemas.times import parse_time
from tests.fakes.accounts import TRANSACTION, account, response

SPEC: Final = provider_specs()["nevogate"]
HOLD: Final = {
    "TransactionId": TRANSACTION,
    "ResultCode": "SUCCESSFUL",
    "Amount": "100",
    "Currency": "HUF",
    "AutoCommit": "false",
    "CommitState": "PENDING",
    "Created": "2026-06-01 13:19:07",
}


def seen(at: str, *, details: bool = False, shop: dict[str, Any] | None = None, **fields: Any) -> Observation:
    data = {name: value for name, value in {**HOLD, **fields}.items() if value is not None}
    answer = response(json.dumps({"CommonData": data} if details else data))
    moment = parse_time(at)
    assert moment is not None
    settings = {"recover_by_details": True, **(shop or {})}
    (one,) = SPEC.provider.interpret(replace(answer, received_at=moment), account("nevogate", **settings)).observations
    return one


def test_hold_is_looked_at_in_the_morning_after_it_began() -> None:
    assert seen("2026-06-01T11:20:00Z").follow == FollowUp(
        reference=TRANSACTION,
        due="2026-06-02T08:00:00.000Z",
        until="2026-07-01T08:00:00.000Z",
        settles_by="2026-06-02T08:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2026-06-01T00:00:00Z", "2026-06-02T08:00:00.000Z"),
        ("2026-06-02T07:59:59Z", "2026-06-02T08:00:00.000Z"),
        ("2026-06-02T08:00:00Z", "2026-06-03T08:00:00.000Z"),
        ("2026-06-30T08:00:05Z", "2026-07-01T08:00:00.000Z"),
        ("2026-07-01T08:00:05Z", None),
        ("2026-09-01T08:00:05Z", None),
    ],
)
def test_hold_is_looked_at_daily_until_its_days_are_over(at: str, due: str | None) -> None:
    follow = seen(at, details=True).follow
    assert follow is not None
    assert (follow.due, follow.until) == (due, "2026-07-01T08:00:00.000Z")


def test_hour_zone_and_days_are_the_merchants() -> None:
    shop = {"settlement_check_hour": 6, "time_zone": "Europe/Budapest", "hold_days": 7}
    follow = seen("2026-06-01T11:20:00Z", shop=shop).follow
    assert follow is not None
    assert (follow.due, follow.until) == ("2026-06-02T04:00:00.000Z", "2026-06-08T04:00:00.000Z")


@pytest.mark.parametrize("state", ["APPROVED", "DECLINED", "RELEASED", ""])
def test_hold_that_is_closed_is_looked_at_no_more(state: str) -> None:
    one = seen("2026-06-02T08:00:05Z", details=True, CommitState=state)
    assert one.follow is None
    assert one.status == {"APPROVED": "captured", "DECLINED": "cancelled"}.get(state, "unknown")


def test_payment_that_is_no_hold_is_not_looked_at() -> None:
    assert seen("2026-06-02T08:00:05Z", AutoCommit="true", CommitState="").follow is None
    assert seen("2026-06-02T08:00:05Z", ResultCode="PENDING").follow is None


def test_hold_is_not_looked_at_where_no_details_are_allowed() -> None:
    one = seen("2026-06-01T11:20:00Z", shop={"recover_by_details": False})
    assert (one.status, one.secured, one.follow) == ("authorised", True, None)


@pytest.mark.parametrize(
    "created", [None, "", "yesterday", "2026-02-30 10:00:00", "2027-01-01 00:00:00", 5, "0001-01-01 00:00:00"]
)
def test_hold_of_unknown_age_is_looked_at_once(created: Any) -> None:
    follow = seen("2026-06-01T11:20:00Z", Created=created).follow
    assert follow is not None
    assert follow.due == follow.until == "2026-06-02T08:00:00.000Z"
    looked = seen("2026-06-02T08:00:05Z", details=True, Created=created).follow
    assert looked is not None
    assert looked.due is None, "counted from each look the days would never end"


def test_look_is_one_details_of_the_transaction() -> None:
    assert SPEC.follow is not None
    assert SPEC.follow.references_per_lookup == 1
    shop = account("nevogate", recover_by_details=True).merchant
    assert SPEC.follow.query(shop, (TRANSACTION,)) == RecoveryQuery("details", TRANSACTION)
    assert SPEC.follow.query(account("nevogate").merchant, (TRANSACTION,)) is None


def test_created_in_the_gateways_own_zone_may_be_tomorrow() -> None:
    follow = seen("2026-06-01T22:30:00Z", Created="2026-06-02 00:30:00").follow
    assert follow is not None
    assert follow.due == "2026-06-03T08:00:00.000Z"
    assert datetime(2026, 6, 1, 22, 30, tzinfo=UTC) < (parse_time(follow.due) or datetime.min.replace(tzinfo=UTC))
