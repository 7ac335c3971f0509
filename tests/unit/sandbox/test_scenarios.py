"""The shares of a payment's amount that the demo's scenarios name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paynotify.sandbox.scenarios import SCENARIOS, PaymentAmounts, Share


@given(st.integers(500, 50_000))
def test_shares_that_make_one_are_the_whole_amount(amount: int) -> None:
    amounts = PaymentAmounts(amount)
    assert sum(amounts.of({"refund": Share(part)})["refund"] for part in (0.4, 0.6)) == amount


def test_share_of_more_than_all_is_not_cut_off() -> None:
    details = PaymentAmounts(1000).of({"payout": Share(2.0), "conversion": {"currency": "EUR", "amount": Share(1.17)}})
    assert details == {"payout": 2000, "conversion": {"currency": "EUR", "amount": 1170}}


def test_demo_plays_what_no_provider_tells_of() -> None:
    named = {
        name for one in SCENARIOS for details in (one.order, *(change for _, change in one.changes)) for name in details
    }
    assert named >= {
        "refund",
        "payout",
        "shipments",
        "shipment",
        "repeat",
        "chargeback",
        "conversion",
        "refused",
        "odd",
    }
    assert any(one.dispute_won for one in SCENARIOS)
