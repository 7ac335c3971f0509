"""A shop's export: each good row is a payment, and each bad row is reported with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.reconcile.compare import PaymentEntry
from paynotify.ops.reconcile.csv_export import read_export
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.money import Money

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
def test_row_is_a_payment_for_each_delimiter_line_ending_and_bom(
    tmp_path: Path, delimiter: str, ending: str, mark: str
) -> None:
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


def test_columns_may_have_any_order_and_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "status,order_id\n,ORD-1\npending,ORD-2\n") == [
        PaymentEntry(payment_id=None, order_id="ORD-1", status=None, amount=None, where="line 2"),
        PaymentEntry(payment_id=None, order_id="ORD-2", status="pending", amount=None, where="line 3"),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (",,captured,1,EUR,", "must have an order_id or a payment_id"),
        ("O,,paid,1,EUR,", "status must be one of pending"),
        ("O,,Captured,1,EUR,", "status must be one of pending"),
        ('O,,captured,"1,50",EUR,', "amount must be in major units"),
        ("O,,captured,1.501,EUR,", "amount must be in major units"),
        ("O,,captured,1,,", "amount must be in major units"),
        ("O,,captured,1,eur,", "amount must be in major units"),
        ("O,,captured,-1,EUR,", "amount must be in major units"),
        ("O,,captured,1,EUR,2026-11-23", "created_at must be an RFC 3339 time"),
        ("O,,captured,1,EUR,23.11.2026 10:00", "created_at must be an RFC 3339 time"),
        ("O,,captured,1,EUR", "must have 6 cells, got 5"),
        (f"{'x' * 251},,captured,1,EUR,", "ids must have at most 250 characters"),
        ("GOOD,,captured,1,EUR,", "order_id must be unique, but it is also on line 2"),
        ('"O"x,,captured,1,EUR,', "not CSV"),
    ],
)
def test_bad_row_is_reported_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    message = refusal(tmp_path, f"{HEADER}\nGOOD,,captured,1,EUR,\n{row}\n")
    assert "line 3" in message
    assert expected in message


def test_bad_rows_are_reported_together_up_to_a_limit(tmp_path: Path) -> None:
    message = refusal(tmp_path, HEADER + "\nO,,paid,,,\n" * 30)
    assert message.count("\n  line ") == 20
    assert "and 10 more" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "has neither order_id nor payment_id"),
        ("status,amount\n", "has neither order_id nor payment_id"),
        ("order_id,mail\n", "'mail'"),
        ("order_id,order_id\n", "has a duplicate column"),
        ("ORD-1,57-9-1\n", "has an unknown column in its header"),
        (b"order_id\nok\n\xff\n", "must be UTF-8, but line 3 is not"),
    ],
)
def test_file_that_is_not_an_export_is_refused(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert expected in refusal(tmp_path, content)


def test_missing_file_is_reported() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_export("/nowhere/export.csv")


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"{HEADER}\n{text}".encode()))
def test_any_content_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        entries = read_export(str(file))
    except ConfigurationError:
        return
    assert all(one.payment_id or one.order_id for one in entries)
