"""The printed reconciliation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.reconcile.compare import Period
from paynotify.ops.reconcile.report import PRINTERS, ReconcileReport, major_units
from paynotify.schemas.money import Money, from_major
from tests.fakes.accounts import account


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


def test_record_that_can_not_be_read_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    report = ReconcileReport(
        merchant=account("trustpayments").merchant,
        period=Period(start=start, end=start + timedelta(days=1), slack=timedelta(0), now=start + timedelta(days=2)),
        source="provider",
        compared=5,
        too_new=0,
        differences=[],
        unreadable=["1-1-2: a refund names no payment", "a record: a record is no object"],
    )
    for form, omitted in (("table", True), ("csv", True), ("json", False)):
        PRINTERS[form](report, 1)
        out, err = capsys.readouterr()
        assert "1-1-2: a refund names no payment" in out + err
        assert ("... and 1 more that cannot be read" in out + err) is omitted
    assert json.loads(out)["unreadable"] == ["1-1-2: a refund names no payment"]
