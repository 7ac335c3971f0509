"""The printed reconciliation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.reconcile.report import major_units
from schemas.money import Money, from_major


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1050, "GBP"), "10.50"),
        (Money(5, "EUR"), "0.05"),
        (Money(500, "JPY"), "500"),
        (Money(1, "KWD"), "0.001"),
        (Money(-5, "EUR"), "-0.05"),
        (Money(0, "EUR"), "0.00"),
    ],
)
def test_amount_is_printed_as_in_an_export(money: Money, text: str) -> None:
    assert major_units(money) == text


@given(value=st.integers(0, 10**15 - 1), currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_printed_amount_parses_to_the_same_amount(value: int, currency: str) -> None:
    assert from_major(major_units(Money(value, currency)), currency) == Money(value, currency)
