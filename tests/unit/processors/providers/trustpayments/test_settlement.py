"""The nightly batch that nobody is told of: when payments and refunds are looked up again, and what may ship before.

Expected values are those of the gateway's pages on settlement, and of its own shop module, which looks until eight days
after the due date.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.daily_looks import daily_looks
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.trustpayments.settlement import follow_up
from paynotify.schemas.messages import FollowUp, Observation
from paynotify.schemas.times import parse_time, rfc3339
from tests.fakes.accounts import account
from tests.fakes.gateway_records import card, parsed, read, record

DAY = timedelta(days=1)


def observed(one: dict[str, Any], **shop: Any) -> Observation:
    (found,) = read(one, shop=shop)
    return found


def morning(day: str) -> str:
    return f"{day}T08:00:00.000Z"


@pytest.mark.parametrize("settlestatus", ["0", "1", "10", "2"])
@pytest.mark.parametrize("method", ["VISA", "PAYPAL", "SOFORT"])
def test_open_payment_is_looked_up_from_the_morning_after_its_due_date(settlestatus: str, method: str) -> None:
    one = observed(card(settlestatus, paymenttypedescription=method))
    assert one.follow == FollowUp(
        reference="1-2-3",
        due=morning("2026-06-02"),
        until=morning("2026-06-09"),
        settles_by=morning("2026-06-02"),
    )


@pytest.mark.parametrize("settlestatus", ["0", "1", "10", "2"])
def test_accepted_refund_is_looked_up_as_a_payment_is(settlestatus: str) -> None:
    one = observed(card(settlestatus, requesttypedescription="REFUND", parenttransactionreference="9-9-9"))
    assert one.payment_id == "9-9-9"
    assert one.follow == FollowUp(
        reference="1-2-3", due=morning("2026-06-02"), until=morning("2026-06-09"), settles_by=morning("2026-06-02")
    )


@pytest.mark.parametrize(
    "one",
    [
        card("100"),
        card("3"),
        card("3", errorcode="70000"),
        card("0", errorcode="60010"),
        card("7"),
        card("100", requesttypedescription="REFUND", parenttransactionreference="9-9-9"),
        card("3", requesttypedescription="REFUND", parenttransactionreference="9-9-9"),
        card("0", requesttypedescription="CHARGEBACK", parenttransactionreference="9-9-9"),
    ],
)
def test_record_that_cannot_change_any_more_is_not_followed(one: dict[str, Any]) -> None:
    assert [each.follow for each in read(card("100", transactionreference="9-9-9"), one)] == [None, None]


def test_day_of_the_payment_counts_where_no_due_date_is_stated() -> None:
    for due in ("", "soon", "9999-12-31", "0001-01-01", None):
        follow = observed(card("0", settleduedate=due, transactionstartedtimestamp="2026-05-31 23:59:59")).follow
        assert follow is not None
        assert (follow.settles_by, follow.due) == (morning("2026-06-01"), morning("2026-06-02"))
        assert follow.until == morning("2026-06-08")


def test_deferred_payment_is_not_looked_up_before_its_due_date() -> None:
    follow = observed(card("0", settleduedate="2026-06-08")).follow
    assert follow is not None
    assert (follow.due, follow.until) == (morning("2026-06-09"), morning("2026-06-16"))


@pytest.mark.parametrize(
    ("fields", "until"),
    [
        ({"authmethod": "PRE"}, "2026-07-10"),  # 31 and 8 days after the due date, the first of June
        ({"authmethod": "FINAL"}, "2026-06-09"),
        ({"settleduedate": "2026-07-02"}, "2026-08-10"),  # no ordinary payment is deferred by a month
        ({"settleduedate": "2026-06-09"}, "2026-07-18"),
    ],
)
def test_preauthorisation_is_followed_for_a_month_longer(fields: dict[str, str], until: str) -> None:
    follow = observed(card("0", **fields)).follow
    assert follow is not None
    assert follow.until == morning(until)


def test_merchant_chooses_the_hour_and_the_time_zone() -> None:
    follow = observed(card("0"), settlement_check_hour=6, time_zone="Europe/Berlin").follow
    assert follow is not None
    assert follow.due == "2026-06-02T04:00:00.000Z"
    assert follow.until == "2026-06-09T04:00:00.000Z"


def test_payment_still_open_eight_days_after_its_due_date_is_given_up() -> None:
    follow = observed(card("0", settleduedate="2026-05-24", transactionstartedtimestamp="2026-05-24 10:00:00")).follow
    assert follow is not None
    assert (follow.due, follow.until) == (None, morning("2026-06-01"))


@given(st.sampled_from(["0", "1", "2", "10"]), st.integers(0, 40), st.integers(0, 60 * 24 * 60), st.booleans())
def test_looks_are_daily_and_end(settlestatus: str, deferred_days: int, minutes: int, pre: bool) -> None:
    started = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    due_date = (started + deferred_days * DAY).date()
    one = card(settlestatus, settleduedate=due_date.isoformat(), authmethod="PRE" if pre else "FINAL")
    seen_at = started + timedelta(minutes=minutes)
    follow = follow_up(parsed(one), daily_looks(account("trustpayments").merchant), seen_at)
    assert follow is not None
    first, last = (parse_time(text) for text in (follow.settles_by, follow.until))
    assert first is not None
    assert last is not None
    assert first == datetime.combine(due_date, datetime.min.time(), UTC) + DAY + timedelta(hours=8)
    assert last - first == (38 if pre or deferred_days > 7 else 7) * DAY
    if follow.due is None:
        assert seen_at >= last
        return
    due = parse_time(follow.due)
    assert due is not None
    assert seen_at < due <= max(first, seen_at + DAY)
    assert due.hour == 8
    # the response to a look, stored a moment later, leads to the next day's look
    after = follow_up(parsed(one), daily_looks(account("trustpayments").merchant), due + timedelta(seconds=30))
    assert after is not None
    assert after.due == (rfc3339(due + DAY) if due < last else None)


def test_look_asks_for_up_to_a_hundred_references_in_one_query() -> None:
    rule = provider_specs()["trustpayments"].follow
    assert rule is not None
    assert rule.references_per_lookup == 100
    query = rule.query(account("trustpayments").merchant, ("1-2-3", "1-2-4"))
    assert query is not None
    assert (query.operation, query.reference, query.arguments) == ("transaction", None, {"references": "1-2-3 1-2-4"})


CARDS = (
    *("VISA", "DELTA", "ELECTRON", "PURCHASING", "MASTERCARD", "MASTERCARDDEBIT"),
    *("MAESTRO", "AMEX", "DINERS", "DISCOVER", "JCB", "VPAY"),
)


@pytest.mark.parametrize("method", CARDS)
@pytest.mark.parametrize("settlestatus", ["0", "1", "10"])
def test_authorised_card_may_ship(method: str, settlestatus: str) -> None:
    one = observed(card(settlestatus, paymenttypedescription=method))
    assert (one.status, one.secured, one.returnable) == ("authorised", True, False)
    assert observed(card(settlestatus, paymenttypedescription=method, walletsource="APPLEPAY")).secured


@pytest.mark.parametrize(
    "fields",
    [
        {"settlestatus": "2"},
        {"settlestatus": "3"},
        {"settlestatus": "100"},
        {"errorcode": "70000"},
        {"errorcode": "60010"},
        {"baseamount": "ten"},
        {"baseamount": None},
        {"currencyiso3a": "pounds"},
        {"settlebaseamount": "900"},
        {"settlebaseamount": "nine"},
        {"mainamount": "105.00"},
        {"fraudcontrolshieldstatuscode": "CHALLENGE"},
        *({"paymenttypedescription": method} for method in ("", "PIBA", "SOLO", "SWITCH", "ASTROPAYCARD", "NEWPAY")),
        *({"paymenttypedescription": method} for method in ("PAYPAL", "SOFORT", "ATA", "ACH", "ALIPAY", "SEPADD")),
        *({"paymenttypedescription": method} for method in ("WECHATPAY", "UNIONPAY", "BITPAY", "ZIP", "PAYSERA")),
    ],
)
def test_nothing_else_may_ship_before_the_money_is_captured(fields: dict[str, Any]) -> None:
    assert not observed(card(**{"settlestatus": "0", **fields})).secured


@pytest.mark.parametrize(
    ("verdict", "link", "ships"),
    [
        ("CHALLENGE", {"orderreference": "ORD-7"}, False),
        ("DENY", {"orderreference": "ORD-7"}, False),
        ("DENY", {"parenttransactionreference": "1-2-3"}, False),
        ("ACCEPT", {"orderreference": "ORD-7"}, True),
        ("NOSCORE", {"orderreference": "ORD-7"}, True),
        ("DENY", {"orderreference": "ORD-8"}, True),
        ("DENY", {}, True),
    ],
)
def test_risk_check_of_the_order_that_asks_for_a_person_holds_goods(
    verdict: str, link: dict[str, str], ships: bool
) -> None:
    check = record("RISKDEC", transactionreference="1-2-9", fraudcontrolshieldstatuscode=verdict, **link)
    (one,) = read(check, card("0", orderreference="ORD-7"))
    assert one.secured == ships


def test_risk_check_that_was_the_payments_parent_holds_goods() -> None:
    check = record("RISKDEC", transactionreference="1-2-9", fraudcontrolshieldstatuscode="DENY")
    (one,) = read(check, card("0", parenttransactionreference="1-2-9"))
    assert not one.secured


@pytest.mark.parametrize("method", ["PAYPAL", "SOFORT", "ACH", "", "NEWPAY", "SEPADD"])
def test_money_of_other_methods_than_cards_may_be_taken_back(method: str) -> None:
    assert observed(card("100", paymenttypedescription=method)).returnable
