"""The example biller: what it reads, that its requests are the same each time, and what it makes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.sandbox.billing.biller import main
from paynotify.sandbox.billing.bills import COLUMNS, SETTLED, Bill, Month, read_bills
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.messages import Checks, PaymentRequest, PaymentStatus
from paynotify.schemas.money import Money
from tests.fakes import configurations

HEAD: Final = ",".join(COLUMNS)
TRANSACTION: Final = "6a5e3c4fb0d14bd6a7b0f1c2d3e4f506"
LINE: Final = f"c-1,{TRANSACTION},19.90,EUR,2026-11/c-1"


def _file(directory: Path, *lines: str) -> Path:
    file = directory / "bills.csv"
    file.write_text("\n".join(lines), "utf-8")
    return file


def test_bills_are_read_from_lines_in_minor_units(tmp_path: Path) -> None:
    (found,) = read_bills(_file(tmp_path, "\ufeff" + HEAD, LINE))
    assert found == Bill(
        customer="c-1", reference_payment_id=TRANSACTION, amount=Money(1990, "EUR"), order_id="2026-11/c-1"
    )


def test_bills_may_have_columns_in_any_order(tmp_path: Path) -> None:
    turned = [",".join(reversed(one.split(","))) for one in (HEAD, LINE)]
    assert read_bills(_file(tmp_path, *turned)) == read_bills(_file(tmp_path, HEAD, LINE))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "line 1: the columns must be customer"),
        (["customer,amount"], "line 1: the columns must be"),
        ([HEAD + ",email", LINE + ",x"], "line 1: the columns must be"),
        ([HEAD, LINE + ",more"], "line 2: the line must have 5 values"),
        ([HEAD, "c-1,x"], "line 2: the line must have 5 values"),
        ([HEAD, LINE.replace("19.90", "19,90")], "line 2: the line must have 5 values"),
        ([HEAD, LINE.replace("19.90", "19.901")], "line 2: amount and currency"),
        ([HEAD, LINE.replace("19.90", "0")], "line 2: amount and currency"),
        ([HEAD, LINE.replace("EUR", "eur")], "line 2: amount and currency"),
        ([HEAD, LINE.replace("c-1,", "a@b.example,", 1)], "line 2: customer must be an id"),
        ([HEAD, LINE.replace(TRANSACTION, "")], "line 2: reference_payment_id must be an id"),
        ([HEAD, LINE, LINE], "line 3: customer is already on line 2"),
        ([HEAD, LINE, LINE.replace("c-1,", "c-2,", 1)], "line 3: order_id is already on line 2"),
        ([HEAD, '"' + LINE], "is not a CSV"),
    ],
)
def test_bills_file_with_a_mistake_is_refused_with_its_line_and_column(
    lines: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_bills(_file(tmp_path, *lines))


def test_bills_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bills.csv"
    file.write_bytes(HEAD.encode() + b"\n\xff\xfe")
    with pytest.raises(ConfigurationError, match="not a CSV file in UTF-8"):
        read_bills(file)


def _bill(customer: str = "c-1", value: int = 1990, currency: str = "EUR") -> Bill:
    return Bill(
        customer=customer, reference_payment_id=TRANSACTION, amount=Money(value, currency), order_id=f"O/{customer}"
    )


def test_request_id_depends_on_month_customer_and_merchant_only() -> None:
    first = _bill().request("shop-hu", "2026-11")
    assert _bill().request("shop-hu", "2026-11") == first
    assert (first.action, first.capture, first.again, first.user_id) == ("charge", "now", False, None)
    others = [
        _bill().request("shop-hu", "2026-12"),
        _bill("c-2").request("shop-hu", "2026-11"),
        _bill().request("shop-xx", "2026-11"),
    ]
    assert len({first.request_id, *(one.request_id for one in others)}) == 4
    assert _bill(value=5).request("shop-hu", "2026-11").request_id == first.request_id


def _answer(bill: Bill, state: Any, status: Any = None, reason: Any = None, **more: Any) -> PaymentRequest:
    request = bill.request("shop-hu", "2026-11")
    whole = {
        "event_id": "e",
        "request_id": request.request_id,
        "merchant": "shop-hu",
        "provider": "nevogate",
        "action": "charge",
        "state": state,
        "reason": reason,
        "order_id": bill.order_id,
        "payment_id": f"p/{bill.customer}",
        "amount": bill.amount,
        "status": status,
        "at": "2026-11-23T00:00:00Z",
        **more,
    }
    return PaymentRequest(**whole)


def _status(bill: Bill, status: Any, **more: Any) -> PaymentStatus:
    whole: dict[str, Any] = {
        "event_id": "e",
        "sequence": 1,
        "provider": "nevogate",
        "merchant": "shop-hu",
        "payment_id": f"p/{bill.customer}",
        "order_id": bill.order_id,
        "status": status,
        "previous_status": None,
        "final": True,
        "fulfilment": "release",
        "amount": bill.amount,
        "paid": bill.amount,
        "refunded": None,
        "reason": None,
        "provider_status": {},
        "checks": Checks(amount="match", order="expected"),
        "source": "Result",
        "provider_time": None,
        "observed_at": "2026-11-23T00:00:00Z",
        **more,
    }
    return PaymentStatus(**whole)


@pytest.mark.parametrize(
    ("events", "verdict", "why"),
    [
        ([], "open", "no outcome yet"),
        ([("received", None, None)], "open", "received"),
        ([("received", None, None), ("started", None, None)], "open", "started"),
        ([("uncertain", None, "no_answer")], "uncertain", "no_answer"),
        ([("uncertain", None, "no_answer"), ("done", "captured", None)], "paid", ""),
        ([("refused", None, "over_day_limit")], "unpaid", "refused: over_day_limit"),
        ([("done", "failed", "provider_code")], "unpaid", "failed: provider_code"),
        ([("done", "authorised", None)], "unpaid", "authorised"),
    ],
)
def test_bill_verdict_follows_the_newest_event(events: list[tuple[Any, Any, Any]], verdict: str, why: str) -> None:
    month = Month("shop-hu", "2026-11", [_bill()])
    for state, status, reason in events:
        month.requested(_answer(_bill(), state, status, reason))
    assert month.verdict(_bill()) == (verdict, why)
    assert month.count(*SETTLED) == (verdict in SETTLED)


def test_bill_verdict_follows_the_result_topic() -> None:
    month = Month("shop-hu", "2026-11", [_bill()])
    month.changed(_status(_bill(), "captured", paid=Money(1500, "EUR")))
    assert month.verdict(_bill())[0] == "open"
    month.requested(_answer(_bill(), "done", "authorised"))
    assert month.verdict(_bill()) == ("paid", "")
    assert month.confirmed == 1
    assert month.sums() == {"EUR": {"paid": 1, "paid_value": 1500}}
    month.changed(_status(_bill(), "charged_back"))
    assert month.verdict(_bill()) == ("unpaid", "charged_back")


def test_bill_verdict_is_paid_while_the_result_topic_is_behind() -> None:
    month = Month("shop-hu", "2026-11", [_bill()])
    month.changed(_status(_bill(), "authorised"))
    month.requested(_answer(_bill(), "done", "captured"))
    assert month.verdict(_bill()) == ("paid", "")


def test_expired_attempt_for_the_same_order_says_nothing_of_the_charge() -> None:
    month = Month("shop-hu", "2026-11", [_bill()])
    month.requested(_answer(_bill(), "done", "captured"))
    month.changed(_status(_bill(), "expired", payment_id="an orphan's"))
    assert month.verdict(_bill()) == ("paid", "")
    assert month.confirmed == 0


def test_bills_ignore_events_of_other_requests() -> None:
    month = Month("shop-hu", "2026-11", [_bill()])
    month.requested(_answer(_bill(), "done", "captured", merchant="shop-xx"))
    month.requested(_answer(_bill(), "done", "captured", request_id="another"))
    month.changed(_status(_bill(), "captured", merchant="shop-xx"))
    assert month.verdict(_bill())[0] == "open"


_EVENTS = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["received", "started", "uncertain", "refused", "done"]),
    st.sampled_from([None, "captured", "failed", "authorised"]),
)


@given(st.lists(_EVENTS, max_size=30))
def test_bills_have_one_verdict_each_and_the_sums_add_up(events: list[tuple[int, Any, Any]]) -> None:
    bills = [_bill(f"c-{number}", 100 * number + 1, "EUR" if number % 2 else "HUF") for number in range(4)]
    month = Month("shop-hu", "2026-11", bills)
    for number, state, status in events:
        month.requested(_answer(bills[number], state, status))
    found = month.as_json()
    listed = [one["customer"] for verdict in ("paid", "unpaid", "uncertain", "open") for one in found[verdict]]
    assert sorted(listed) == sorted(one.customer for one in bills)
    values = {
        currency: sum(value for name, value in counts.items() if name.endswith("_value"))
        for currency, counts in found["sums"].items()
    }
    assert values == {"EUR": 101 + 301, "HUF": 1 + 201}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--month", "November"], "--month must be a month"),
        (["--wait", "-1"], "--wait must be between 0 and 86400"),
        (["--merchant", "shop-uk"], "(none is configured)"),
        (["--config", "/nowhere/at-all"], "can't be read"),
    ],
)
def test_biller_wrong_use_is_one_sentence_and_exit_code_2(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configurations.write(tmp_path, configurations.document("127.0.0.1:9", "", tmp_path))
    words = ["--csv", str(_file(tmp_path, HEAD, LINE)), "--config", str(config), *options]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
