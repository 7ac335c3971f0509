"""Amounts: in the merchant's currency and ISO's minor unit, and proved where a record can prove them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.trustpayments.amounts import amounts_of
from paynotify.schemas.money import Money
from tests.fakes.accounts import account
from tests.fakes.gateway_records import card, interpreted, parsed, read, record


@pytest.mark.parametrize(
    ("currency", "decimals", "value"),
    [
        ("GBP", {}, 1050),
        ("JPY", {}, 1050),
        ("KWD", {}, 1050),
        ("MGA", {}, 1050),  # two decimals in the gateway's own library, and no exception any more
        ("ISK", {}, 1050),
        ("UGX", {}, 1050),
        ("MGA", {"MGA": 0}, 105_000),
        ("ISK", {"ISK": 1}, 105),
        ("KWD", {"KWD": 2}, 10_500),
        ("GBP", {"ISK": 2}, 1050),
    ],
)
def test_amounts_have_the_decimals_of_iso_unless_the_merchant_says_otherwise(
    currency: str, decimals: dict[str, int], value: int
) -> None:
    (one,) = read(record(settlestatus="100", currencyiso3a=currency), shop={"currency_decimals": decimals})
    assert one.amount == one.paid == Money(value, currency)


def test_amount_that_its_currency_has_no_unit_for_is_not_read() -> None:
    (one,) = read(record(settlestatus="100", currencyiso3a="ISK"), shop={"currency_decimals": {"ISK": 2}})
    assert (one.amount, one.paid) == (None, None), "1050 hundredths are no whole crowns"
    (one,) = read(record(currencyiso3a="ISK", baseamount="1000"), shop={"currency_decimals": {"ISK": 2}})
    assert one.amount == Money(10, "ISK")


@pytest.mark.parametrize(
    ("currency", "minor", "major", "proves"),
    [
        ("GBP", "1050", "10.50", True),
        ("GBP", "1050", "10.5", True),
        ("JPY", "1050", "1050", True),
        ("JPY", "1050", "1050.00", True),
        ("KWD", "10500", "10.500", True),
        ("GBP", "1050", "105.0", False),
        ("ISK", "105000", "1050", False),
        ("MGA", "1050", "1050", False),
        ("GBP", "1050", "", True),
        ("GBP", "1050", "ten", True),
        ("GBP", "1050", "1e1", True),
        ("GBP", "1050", "-10.50", True),
    ],
)
def test_major_units_prove_the_minor_ones(currency: str, minor: str, major: str, proves: bool) -> None:
    found = interpreted(card("100", currencyiso3a=currency, baseamount=minor, settlebaseamount=minor, mainamount=major))
    (one,) = found.observations
    assert found.warnings == (() if proves else ("amount_decimals",))
    assert one.amount == one.paid == (Money(int(minor), currency) if proves else None)


def test_table_of_the_merchant_is_what_major_units_are_held_against() -> None:
    sent = card("100", currencyiso3a="ISK", baseamount="105000", settlebaseamount="105000", mainamount="1050")
    found = interpreted(sent, shop={"currency_decimals": {"ISK": 2}})
    assert found.warnings == ()
    assert found.observations[0].paid == Money(1050, "ISK")


def test_refund_whose_amounts_contradict_each_other_holds_back_its_payment() -> None:
    refund = record("REFUND", settlestatus="100", parenttransactionreference="9-9-9", mainamount="1050")
    found = interpreted(card("100", transactionreference="9-9-9"), refund)
    assert (found.observations, [one.place for one in found.odd]) == ((), ["records/1"])
    assert found.warnings == ("amount_decimals",)


DCC = {"dccenabled": "1", "dcccurrencyiso3a": "GBP", "dccbaseamount": "1050"}


def converted(settlestatus: str, **fields: Any) -> dict[str, Any]:
    """Ten pounds fifty that an American pays as thirteen dollars."""
    dollars = {"currencyiso3a": "USD", "baseamount": "1300", "settlebaseamount": "1300"}
    return card(settlestatus, **{**DCC, **dollars, **fields})


def test_converted_payment_is_published_in_the_merchants_currency() -> None:
    open_, paid = read(converted("0"), converted("100"))
    assert open_.amount == paid.amount == paid.paid == Money(1050, "GBP")
    assert open_.customer_amount == paid.customer_amount == Money(1300, "USD")
    assert open_.secured


def test_part_of_a_converted_payment_is_not_converted_by_a_guess() -> None:
    (one,) = read(converted("100", settlebaseamount="650"))
    assert (one.amount, one.paid, one.customer_amount) == (Money(1050, "GBP"), None, Money(1300, "USD"))


def test_refund_of_a_converted_payment_stays_in_the_customers_currency() -> None:
    refund = {**converted("100"), "requesttypedescription": "REFUND", "parenttransactionreference": "9-9-9"}
    (one,) = read(refund)
    assert one.refund is not None
    assert one.refund.amount == Money(1300, "USD")


def test_customers_currency_is_absent_where_nothing_is_converted() -> None:
    for fields in ({}, {"dccenabled": "1"}, {**DCC, "dccenabled": "0"}):
        (one,) = read(card("100", **fields))
        assert (one.amount, one.customer_amount) == (Money(1050, "GBP"), None)


def test_conversions_own_major_units_are_held_against_it() -> None:
    found = interpreted(converted("100", dccmainamount="1050"))
    assert (found.observations[0].amount, found.warnings) == (None, ("amount_decimals",))


ANYTHING = st.one_of(
    st.none(), st.integers(), st.text(max_size=25), st.from_regex(r"[0-9]{1,25}", fullmatch=True), st.lists(st.none())
)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("baseamount", "settlebaseamount", "dccbaseamount", "mainamount"), ANYTHING)
        | {name: st.sampled_from(["GBP", "JPY", "KWD", "CLF", "", "x", None]) for name in ("currencyiso3a", "dcc")}
    ),
    st.dictionaries(st.sampled_from(["GBP", "JPY", "KWD"]), st.integers(0, 4), max_size=3),
)
def test_amount_is_read_or_not_and_never_raises(fields: dict[str, Any], decimals: dict[str, int]) -> None:
    one = {**fields, "dccenabled": "1", "dcccurrencyiso3a": fields["dcc"]}
    amounts_of(parsed(one), account("trustpayments", currency_decimals=decimals).merchant)
