"""Trust Payments' rules one by one: the form's bytes, the hash, the allow-list, and what goes into a lookup."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.providers.account import Account
from processors.providers.base import Interpretation
from processors.providers.form import fields
from processors.providers.registry import provider_specs
from processors.providers.trustpayments.codes import payment_status
from schemas.errors import RejectedNotificationError, UnreadableError
from schemas.messages import Lookup, Observation, Refund
from schemas.money import Money
from tests.fakes.accounts import account, notification, response

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider
PASSWORD: Final = "hunter2-URLnotify"
DEFAULTS: Final = {
    "errorcode": "0",
    "notificationreference": "57-A1",
    "orderreference": "ORD-7",
    "paymenttypedescription": "VISA",
    "requestreference": "A1",
    "settlestatus": "0",
    "sitereference": "test_acme98765",
    "transactionreference": "57-9-1",
}


def form(password: str = PASSWORD, *more: tuple[str, str], **changes: str | None) -> str:
    """A form that is hashed after the changes; a change to none leaves the field out."""
    pairs = [(name, value) for name, value in {**DEFAULTS, **changes}.items() if value is not None] + list(more)
    hashed = sorted(
        (one for one in pairs if one[0] not in ("notificationreference", "responsesitesecurity")), key=_name
    )
    digest = hashlib.sha256("".join([value for _, value in hashed]).encode() + password.encode()).hexdigest()
    if "responsesitesecurity" not in changes:
        pairs.append(("responsesitesecurity", digest))
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def _name(pair: tuple[str, str]) -> bytes:
    return pair[0].encode()


def planned(body: str | bytes, shop: Account[Any] | None = None) -> Lookup:
    shop, call = shop or account("trustpayments"), notification("trustpayments", body)
    claim = TRUSTPAYMENTS.parse(call, shop)
    assert TRUSTPAYMENTS.verify(claim, call, shop) == "authentic"
    return TRUSTPAYMENTS.plan(claim, call)


def reason_of(body: str | bytes, shop: Account[Any] | None = None) -> str:
    with pytest.raises(RejectedNotificationError) as rejected:
        planned(body, shop)
    return rejected.value.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a=1&b=2", [(b"a", b"1"), (b"b", b"2")]),
        (b"b=2&a=1&b=", [(b"b", b"2"), (b"a", b"1"), (b"b", b"")]),
        (b"a=+%2B%20 ", [(b"a", b" +  ")]),
        (b"a=1;b=2", [(b"a", b"1;b=2")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"a", [(b"a", b"")]),
        (b"=x", [(b"", b"x")]),
        (b"&&a=1&", [(b"a", b"1")]),
        (b"a%3D=%e9%E9", [(b"a=", b"\xe9\xe9")]),
        (b"a=%&b=%4&c=%zz&d=%2541", [(b"a", b"%"), (b"b", b"%4"), (b"c", b"%zz"), (b"d", b"%41")]),
        (b"x.y z=1", [(b"x.y z", b"1")]),
        (b"", []),
    ],
)
def test_forms_are_decoded_to_the_byte(body: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert fields(body) == expected


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), max_size=9))
def test_form_comes_back_as_it_was_encoded(pairs: list[tuple[bytes, bytes]]) -> None:
    for encode in (quote, quote_plus):
        assert fields(b"&".join(f"{encode(name)}={encode(value)}".encode() for name, value in pairs)) == pairs


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "malformed"),
        ("&&&", "malformed"),
        ("&".join(f"a{number}=1" for number in range(300)), "malformed"),
        ("errorcode=0", "missing_signature"),
        ("{}", "missing_signature"),
        (form(responsesitesecurity=""), "missing_signature"),
        (form(responsesitesecurity="0" * 64), "bad_signature"),
        (form(responsesitesecurity="g" + "0" * 64), "bad_signature"),
        (form("another password"), "bad_signature"),
        (form(PASSWORD, ("a", "7000")), "unexpected_field"),
        (form(PASSWORD, ("responsesitesecurity", "x")), "bad_signature"),
        (form() + "&responsesitesecurity=x", "unexpected_field"),
        (form() + "&notificationreference=57-A2", "unexpected_field"),
        (form(PASSWORD, ("errorcode", "0")), "unexpected_field"),
        (form(PASSWORD, ("", "1")), "unexpected_field"),
        (form(PASSWORD, ("\u202e<script>", "1")), "unexpected_field"),
        (form(errorcode=""), "malformed"),
        (form(errorcode="0x"), "malformed"),
        (form(errorcode="٣"), "malformed"),
        (form(settlestatus="00"), "malformed"),
        (form(settlestatus="7"), "malformed"),
        (form(sitereference="test_other"), "malformed"),
        (form(sitereference="TEST_ACME98765"), "malformed"),
        (form(transactionreference="57-9"), "malformed"),
        (form(transactionreference="57-9-1\n"), "malformed"),
        (form(transactionreference=None, orderreference=None), "malformed"),
        (form(transactionreference=None, orderreference="x" * 256), "malformed"),
        (form(transactionreference="", orderreference=""), "malformed"),
    ],
)
def test_what_can_cause_no_lookup_is_rejected_with_its_reason(body: str, reason: str) -> None:
    assert reason_of(body) == reason


def test_rejection_never_quotes_a_value_or_an_odd_name() -> None:
    with pytest.raises(RejectedNotificationError) as rejected:
        planned(form(PASSWORD, ("\u202e<script>", "Joe")))
    assert "script" not in str(rejected.value)
    with pytest.raises(RejectedNotificationError, match="billingemail") as rejected:
        planned(form(PASSWORD, ("billingemail", "joe@example.com")))
    assert "joe" not in str(rejected.value)


def test_upper_case_and_padded_hashes_are_refused() -> None:
    genuine = form()
    name, _, digest = genuine.rpartition("=")
    assert planned(genuine)
    assert reason_of(f"{name}={digest.upper()}") == "bad_signature"
    assert reason_of(f"{name}={digest}+") == "bad_signature"


def test_any_active_password_will_do() -> None:
    shop = account("trustpayments", notification_passwords=[{"value": "old"}, {"value": "näu"}])
    assert planned(form("old"), shop)
    assert planned(form("näu"), shop)
    assert reason_of(form(), shop) == "bad_signature"


def test_fields_repeats_are_hashed_in_wire_order_where_they_are_allowed() -> None:
    shop = account("trustpayments", repeated_fields=["errordata"])
    body = form(PASSWORD, ("errordata", "b"), ("errordata", "a"))
    assert planned(body, shop)
    assert reason_of(body.replace("errordata=b&errordata=a", "errordata=a&errordata=b"), shop) == "bad_signature"
    assert reason_of(body) == "unexpected_field"


def test_empty_settle_status_of_a_failed_request_is_let_through() -> None:
    assert planned(form(errorcode="99999", settlestatus="")).reference == "57-9-1"


def test_bytes_that_are_no_utf_8_matter_only_where_they_are_needed() -> None:
    values = b"0Andr\xe9VISAA10test_acme98765"
    digest = hashlib.sha256(values + b"57-9-1" + PASSWORD.encode()).hexdigest()
    without = hashlib.sha256(values + PASSWORD.encode()).hexdigest()
    start = (
        "errorcode=0&orderreference=Andr%E9&paymenttypedescription=VISA&requestreference=A1&settlestatus=0"
        "&sitereference=test_acme98765"
    )
    body = f"{start}&transactionreference=57-9-1&responsesitesecurity={digest}"
    assert planned(body).reference == "57-9-1"
    assert reason_of(f"{start}&responsesitesecurity={without}") == "malformed"


def test_only_an_id_reaches_the_lookup() -> None:
    lookup = planned(form(baseamount="1000000", errorcode="0", settlestatus="100"))
    assert (lookup.operation, lookup.reference, lookup.arguments) == ("transaction", "57-9-1", {})
    by_order = planned(form(transactionreference=None))
    assert (by_order.reference, by_order.arguments) == (None, {"orderreference": "ORD-7"})


@given(
    st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(form().split("&"))).map(lambda x: "&".join(x).encode()))
)
def test_parsing_and_verifying_raise_nothing_but_rejected(body: bytes) -> None:
    shop, call = account("trustpayments"), notification("trustpayments", body)
    try:
        claim = TRUSTPAYMENTS.parse(call, shop)
        TRUSTPAYMENTS.verify(claim, call, shop)
    except RejectedNotificationError:
        return
    assert TRUSTPAYMENTS.plan(claim, call).reference == "57-9-1"


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (("0", "1", "VISA"), "authorised"),
        (("0", "3", "VISA"), "cancelled"),
        (("0", "10", "SOFORT"), "pending"),
        (("0", "10", "sofort"), "pending"),
        (("0", "10", "PAYPAL"), "authorised"),
        (("0", "", "VISA"), "unknown"),
        (("", "0", "VISA"), "unknown"),
        (("00", "100", "VISA"), "unknown"),
        (("71000", "3", "VISA"), "declined"),
        (("60107", "", "VISA"), "declined"),
        (("60022", "0", "VISA"), "declined"),
        (("50123", "3", "VISA"), "pending"),
        (("51000", "3", "VISA"), "unknown"),
        (("70001", "100", "VISA"), "pending"),
        (("30000", "", "VISA"), "unknown"),
        (("12345678901", "100", "VISA"), "unknown"),
    ],
)
def test_codes_without_a_row_are_never_guessed(codes: tuple[str, str, str], status: str) -> None:
    assert payment_status(*codes) == status


def read(*records: Any, **query: Any) -> tuple[Observation, ...]:
    interpretation = interpreted(*records, **query)
    assert interpretation.unreadable is None
    return interpretation.observations


def interpreted(*records: Any, **query: Any) -> Interpretation:
    found = {"errorcode": "0", "transactionstartedtimestamp": "2026-06-01 11:59:58", "records": list(records), **query}
    body = orjson.dumps({"requestreference": "A1", "version": "1.00", "response": [found]})
    return TRUSTPAYMENTS.interpret(response(body), account("trustpayments"))


def record(kind: str = "AUTH", **fields: Any) -> dict[str, Any]:
    base = {"transactionreference": "1-2-3", "sitereference": "test_acme98765", "errorcode": "0"}
    amounts = {"baseamount": "1050", "currencyiso3a": "GBP"}
    return {"requesttypedescription": kind, **base, **amounts, **fields}


def test_what_was_settled_is_what_was_paid() -> None:
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


def test_refunds_and_chargebacks_speak_of_their_parent() -> None:
    parent = {"parenttransactionreference": "9-9-9"}
    settled, waiting, charged = read(
        record("REFUND", settlestatus="100", settlebaseamount="500", **parent),
        record("REFUND", settlestatus="10", **parent),
        record("CHARGEBACK", settlestatus="0", **parent),
    )
    assert settled.payment_id == waiting.payment_id == charged.payment_id == "9-9-9"
    assert settled.refund == Refund(refund_id="1-2-3", amount=Money(500, "GBP"), settled=True)
    assert waiting.refund == Refund(refund_id="1-2-3", amount=Money(1050, "GBP"), settled=False)
    assert (settled.status, waiting.status, charged.status) == (None, None, "charged_back")


@pytest.mark.parametrize(
    "one",
    [
        record("REFUND", settlestatus="3", parenttransactionreference="9-9-9"),
        record("REFUND", settlestatus="100", errorcode="70000", parenttransactionreference="9-9-9"),
        record("CHARGEBACK", errorcode="20000", parenttransactionreference="9-9-9"),
        record("THREEDQUERY", settlestatus="100"),
        record("TRANSACTIONUPDATE", settlestatus="100"),
        record(sitereference="live_site"),
        record(transactionreference="x"),
        record(transactionreference=["1-2-3"]),
        {},
        "text",
        None,
    ],
)
def test_what_is_no_payment_of_ours_says_nothing(one: Any) -> None:
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
    assert found.unreadable == "unreadable_answer"
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


def test_refund_whose_outcome_the_gateway_does_not_know_is_on_its_way() -> None:
    parent = {"parenttransactionreference": "9-9-9"}
    (one,) = read(record("REFUND", errorcode="60010", **parent), record("CHARGEBACK", errorcode="99999", **parent))
    assert one.refund == Refund(refund_id="1-2-3", amount=Money(1050, "GBP"), settled=False)


def test_refund_of_no_payment_is_not_passed_over() -> None:
    found = interpreted(record("REFUND", settlestatus="100"), record(settlestatus="100", transactionreference="7-7-7"))
    assert found.unreadable == "unreadable_answer"
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


def test_amounts_without_decimals_are_brought_into_the_minor_unit() -> None:
    (one,) = read(record(settlestatus="100", currencyiso3a="MGA"))
    assert one.amount == one.paid == Money(105_000, "MGA")
    (other,) = read(record(settlestatus="100", currencyiso3a="JPY"))
    assert other.amount == Money(1050, "JPY")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"{}", b'{"response": []}', b'{"response": [{"errorcode": "60019"}]}']
)
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        TRUSTPAYMENTS.interpret(response(body), account("trustpayments"))
