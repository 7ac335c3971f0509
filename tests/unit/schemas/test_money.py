"""Amounts: integers in minor units, read strictly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.money import Money, exponent, from_major, from_minor, to_major, total


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("10.50", "EUR", 1050), ("10.5", "EUR", 1050), (10, "EUR", 1000), ("7", "JPY", 7), ("1.234", "KWD", 1234)],
)
def test_major_units_become_minor_by_the_currencys_exponent(value: Any, currency: str, minor: int) -> None:
    assert from_major(value, currency) == Money(minor, currency)


@pytest.mark.parametrize("value", ["", "1,0", "1e3", "-1", "٣", "1.", ".5", "10.005", True, None, [], 1e22])
def test_invalid_amount_in_major_units_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableError):
        from_major(value, "EUR")


@pytest.mark.parametrize("value", ["", "1.0", "1e3", " 1", "1\n", "-1", -1, "٣", "9" * 19, True, None, 1.0, []])
def test_invalid_amount_in_minor_units_is_unreadable(value: Any) -> None:
    with pytest.raises(UnreadableError):
        from_minor(value, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "EU", "EUR\n", None, 978, "ÉUR"])
def test_invalid_currency_is_unreadable(currency: Any) -> None:
    for read in (from_minor, from_major):
        with pytest.raises(UnreadableError):
            read("1", currency)


@given(st.integers(0, 10**14), st.sampled_from(["EUR", "JPY", "KWD", "CLF", "HUF"]))
def test_money_keeps_its_value_between_units(minor: int, currency: str) -> None:
    major = Decimal(minor).scaleb(-exponent(currency))
    assert from_major(f"{major:f}", currency) == from_minor(str(minor), currency) == Money(minor, currency)


@given(st.integers(0, 10**14), st.sampled_from(["EUR", "JPY", "KWD", "CLF", "HUF"]))
def test_amount_written_in_major_units_is_read_as_the_same_money(minor: int, currency: str) -> None:
    told = to_major(Money(minor, currency))
    assert from_major(told, currency) == Money(minor, currency)
    assert len(told.partition(".")[2]) == exponent(currency)


@given(st.lists(st.integers(0, 10**18 - 1)))
def test_sum_of_amounts_is_an_amount(values: list[int]) -> None:
    assert total(values, "EUR") == Money(min(sum(values), 10**18 - 1), "EUR")
