"""What the records of a response say: codes, amounts, refunds, and what is no payment of ours."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.trustpayments.codes import payment_status
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import Refund
from paynotify.schemas.money import Money
from tests.fakes.accounts import account, response
from tests.fakes.gateway_records import interpreted, read, record

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (("0", "1", "VISA"), "authorised"),
        (("0", "3", "VISA"), "cancelled"),
        (("0", "10", "SOFORT"), "pending"),
        (("0", "10", "sofort"), "pending"),
        (("0", "10", "PAYPAL"), "authorised"),
        *((("0", "10", method), "pending") for method in ("ACH", "ALIPAY", "BITPAY", "PAYSAFECARD", "PAYSERA")),
        *((("0", "10", method), "pending") for method in ("SEPADD", "UNIONPAY", "WECHATPAY", "ZIP")),
        (("0", "", "VISA"), "unknown"),
        (("", "0", "VISA"), "unknown"),
        (("00", "100", "VISA"), "unknown"),
        (("71000", "3", "VISA"), "declined"),
        (("60107", "", "VISA"), "declined"),
        (("60022", "0", "VISA"), "declined"),
        (("50123", "3", "VISA"), "pending"),
        (("51000", "3", "VISA"), "failed"),
        (("51000", "", "VISA"), "unknown"),
        (("51000", "0", "VISA"), "unknown"),
        (("60500", "3", "VISA"), "declined"),
        (("60500", "", "VISA"), "declined"),
        (("60038", "3", "VISA"), "failed"),
        (("10600", "3", "VISA"), "failed"),
        (("60010", "3", "VISA"), "pending"),
        (("x", "3", "VISA"), "unknown"),
        (("", "3", "VISA"), "unknown"),
        (("70001", "100", "VISA"), "pending"),
        (("30000", "", "VISA"), "unknown"),
        (("12345678901", "100", "VISA"), "unknown"),
    ],
)
def test_codes_without_a_row_are_never_guessed(codes: tuple[str, str, str], status: str) -> None:
    assert payment_status(*codes) == status


def test_settled_amount_is_what_was_paid() -> None:
    whole, part, open_ = read(
        record(settlestatus="100"), record(settlestatus="100", settlebaseamount="1000"), record(settlestatus="0")
    )
    assert whole.paid == whole.amount == Money(1050, "GBP")
    assert (part.paid, part.amount) == (Money(1000, "GBP"), Money(1050, "GBP"))
    assert open_.paid is None
    assert whole.provider_time == "2026-06-01T11:59:58.000Z"
    assert whole.provider_status == {"errorcode": "0", "settlestatus": "100"}


def test_declines_say_why() -> None:
    (one,) = read(record(errorcode="70000", settlestatus="3", errormessage="Joe's card"))
    assert (one.status, one.reason) == ("declined", "70000")
    assert one.provider_status == {"errorcode": "70000", "settlestatus": "3"}


def test_unreadable_reason_is_never_published() -> None:
    (one,) = read(record(errorcode="Joe's card", settlestatus="3"))
    assert (one.status, one.reason) == ("unknown", None)


@pytest.mark.parametrize(
    "one",
    [
        record("CHARGEBACK", errorcode="20000", parenttransactionreference="9-9-9"),
        record("THREEDQUERY", settlestatus="100"),
        record("TRANSACTIONUPDATE", settlestatus="100"),
        record(sitereference="live_site"),
        {},
    ],
)
def test_record_that_is_no_payment_of_ours_says_nothing(one: Any) -> None:
    assert read(one, record(settlestatus="0", transactionreference="7-7-7"))[0].payment_id == "7-7-7"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("REFUND", {"baseamount": "ten"}),
        ("REFUND", {"settlestatus": "7"}),
        ("REFUND", {"settlestatus": None}),
        ("REFUND", {"errorcode": None}),
        ("CHARGEBACK", {"errorcode": None}),
    ],
)
def test_refund_that_can_not_be_read_holds_back_its_payment_and_no_other(kind: str, fields: dict[str, Any]) -> None:
    found = interpreted(
        record(settlestatus="100", transactionreference="9-9-9"),
        record(kind, **{"settlestatus": "100", "parenttransactionreference": "9-9-9", **fields}),
        record(settlestatus="100", transactionreference="7-7-7"),
    )
    assert [(one.place, one.reason) for one in found.odd] == [("records/1", "unreadable_answer")]
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


@pytest.mark.parametrize("reference", ["", "x", ["1-2-3"], None])
def test_payment_without_a_reference_is_odd_and_costs_no_other(reference: Any) -> None:
    found = interpreted(record(transactionreference=reference), record(transactionreference="7-7-7"))
    assert [(one.place, one.reason) for one in found.odd] == [("records/0", "unreadable_answer")]
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


def test_refunds_without_references_are_not_taken_for_one() -> None:
    """Of two refunds with the same id only one counts, so that less money would seem to have gone back."""
    parts = [{"transactionreference": "", "parenttransactionreference": "9-9-9", "baseamount": "500"}] * 2
    found = interpreted(
        record(settlestatus="100", transactionreference="9-9-9"),
        *(record("REFUND", settlestatus="100", **part) for part in parts),
        record(settlestatus="100", transactionreference="7-7-7"),
    )
    assert [one.place for one in found.odd] == ["records/1", "records/2"]
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


def test_refund_whose_outcome_the_gateway_does_not_know_is_on_its_way() -> None:
    parent = {"parenttransactionreference": "9-9-9"}
    (one,) = read(record("REFUND", errorcode="60010", **parent), record("CHARGEBACK", errorcode="99999", **parent))
    assert one.refund == Refund(refund_id="1-2-3", amount=Money(1050, "GBP"), settled=False)


def test_refund_of_no_payment_is_not_passed_over() -> None:
    found = interpreted(record("REFUND", settlestatus="100"), record(settlestatus="100", transactionreference="7-7-7"))
    assert [(one.place, one.reason) for one in found.odd] == [("records/0", "unreadable_answer")]
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


@pytest.mark.parametrize("one", ["text", None, 7, True, [], 1.5])
def test_element_that_is_no_record_is_dead_lettered_alone(one: Any) -> None:
    found = interpreted(one, record(settlestatus="100", transactionreference="7-7-7"))
    assert [(each.place, each.reason) for each in found.odd] == [("records/0", "unreadable_answer")]
    assert [each.payment_id for each in found.observations] == ["7-7-7"]


@pytest.mark.parametrize("started", ["9999-12-31 23:59:59", "0001-01-01 00:00:00", "9999-01-01 00:00:00"])
def test_record_of_a_year_from_which_no_days_can_be_counted_costs_nothing(started: str) -> None:
    good = record(settlestatus="0", transactionreference="7-7-7")
    odd, known = read(record(settlestatus="0", transactionstartedtimestamp=started), good)
    assert known.follow is not None
    assert odd.follow == replace(known.follow, reference=odd.payment_id)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"null", b"[]", b"{}", b'{"response": []}', b'{"response": [{"errorcode": "60019"}]}'),
        *(b'{"response": [{"errorcode": "0", "records": %s}]}' % odd for odd in (b"null", b'"x"', b"7", b"{}")),
    ],
)
def test_body_that_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        TRUSTPAYMENTS.interpret(response(body), account("trustpayments"))
