"""A shop's export: every good row is a payment, and every bad one is named by its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.reconcile.compare import PaymentEntry
from ops.reconcile.csv_export import read_export
from schemas.errors import ConfigurationError
from schemas.money import Money

HEADER = "order_id,payment_id,status,amount,currency,created_at"


def read(tmp_path: Path, content: str | bytes) -> list[PaymentEntry]:
    file = tmp_path / "export.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_export(str(file))


def refusal(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, content)
    return str(raised.value)


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_row_is_a_payment_whatever_wrote_the_file(tmp_path: Path, delimiter: str, ending: str, mark: str) -> None:
    row = 'ORD-1,57-9-1,captured,10.50,GBP,"2026-11-23T10:00:00+01:00"'
    text = mark + ending.join([HEADER, row, ""]).replace(",", delimiter)
    assert read(tmp_path, text) == [
        PaymentEntry(
            payment_id="57-9-1",
            order_id="ORD-1",
            status="captured",
            amount=Money(1050, "GBP"),
            at=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
            where="line 2",
        )
    ]


def test_columns_come_in_any_order_and_what_is_left_out_is_not_told(tmp_path: Path) -> None:
    assert read(tmp_path, "status,order_id\n,ORD-1\npending,ORD-2\n") == [
        PaymentEntry(payment_id=None, order_id="ORD-1", status=None, amount=None, where="line 2"),
        PaymentEntry(payment_id=None, order_id="ORD-2", status="pending", amount=None, where="line 3"),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (",,captured,1,EUR,", "neither order_id nor payment_id"),
        ("O,,paid,1,EUR,", "status is none of pending"),
        ("O,,Captured,1,EUR,", "status is none of pending"),
        ('O,,captured,"1,50",EUR,', "no sum of money"),
        ("O,,captured,1.501,EUR,", "no sum of money"),
        ("O,,captured,1,,", "no sum of money"),
        ("O,,captured,1,eur,", "no sum of money"),
        ("O,,captured,-1,EUR,", "no sum of money"),
        ("O,,captured,1,EUR,2026-11-23", "created_at is no RFC 3339 time"),
        ("O,,captured,1,EUR,23.11.2026 10:00", "created_at is no RFC 3339 time"),
        ("O,,captured,1,EUR", "5 cells instead of 6"),
        (f"{'x' * 251},,captured,1,EUR,", "more than 250 characters"),
        ("GOOD,,captured,1,EUR,", "the same order_id stands on line 2"),
        ('"O"x,,captured,1,EUR,', "not CSV"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, row: str, told: str) -> None:
    said = refusal(tmp_path, f"{HEADER}\nGOOD,,captured,1,EUR,\n{row}\n")
    assert "line 3" in said
    assert told in said


def test_all_bad_rows_are_told_at_once_but_not_without_end(tmp_path: Path) -> None:
    said = refusal(tmp_path, HEADER + "\nO,,paid,,,\n" * 30)
    assert said.count("\n  line ") == 20
    assert "and 10 more" in said


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "names no payments"),
        ("status,amount\n", "names no payments"),
        ("order_id,mail\n", "'mail'"),
        ("order_id,order_id\n", "a column twice"),
        ("ORD-1,57-9-1\n", "no header of known columns"),
        (b"order_id\nok\n\xff\n", "not UTF-8 (line 3)"),
    ],
)
def test_what_is_no_export_is_refused_whole(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert told in refusal(tmp_path, content)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_export("/nowhere/export.csv")


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"{HEADER}\n{text}".encode()))
def test_whatever_the_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        entries = read_export(str(file))
    except ConfigurationError:
        return
    assert all(one.payment_id or one.order_id for one in entries)
