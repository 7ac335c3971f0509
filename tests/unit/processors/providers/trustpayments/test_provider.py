"""Trust Payments' rules one by one: the form's bytes, the hash, the allow-list, and what goes into a lookup."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.form import fields
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.messages import Lookup
from tests.fakes.accounts import account, notification

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
        (form(PASSWORD, ("a", "7000"), transactionreference=None), "unexpected_field"),
        (form(PASSWORD, ("responsesitesecurity", "x")), "bad_signature"),
        (form() + "&responsesitesecurity=x", "unexpected_field"),
        (form() + "&notificationreference=57-A2", "unexpected_field"),
        (form(PASSWORD, ("errorcode", "0")), "unexpected_field"),
        (form(PASSWORD, ("", "1"), transactionreference=None), "unexpected_field"),
        (form(PASSWORD, ("\u202e<script>", "1"), transactionreference=None), "unexpected_field"),
        (form(PASSWORD, ("a", "7000"), transactionreference="57-9"), "unexpected_field"),
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
def test_form_that_can_cause_no_lookup_is_rejected_with_its_reason(body: str, reason: str) -> None:
    assert reason_of(body) == reason


def test_rejection_never_quotes_a_value_or_an_odd_name() -> None:
    with pytest.raises(RejectedNotificationError) as rejected:
        planned(form(PASSWORD, ("\u202e<script>", "Joe"), transactionreference=None))
    assert "script" not in str(rejected.value)
    with pytest.raises(RejectedNotificationError, match="billingemail") as rejected:
        planned(form(PASSWORD, ("billingemail", "joe@example.com"), transactionreference=None))
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
    known = account("trustpayments", extra_fields=["errordata"])
    assert reason_of(body, known) == "unexpected_field", "a repeated known name may be a piece of another value"


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


def test_lookup_has_an_id_and_nothing_else_of_the_form() -> None:
    lookup = planned(form(baseamount="1000000", errorcode="0", settlestatus="100"))
    assert (lookup.operation, lookup.reference, lookup.arguments) == ("transaction", "57-9-1", {})
    by_order = planned(form(transactionreference=None))
    assert (by_order.reference, by_order.arguments) == (None, {"orderreference": "ORD-7"})


@pytest.mark.parametrize("name", ["billingemail", "MyField", "", "\u202e<script>"])
def test_field_nobody_configured_is_a_warning_and_its_transaction_is_looked_up(name: str) -> None:
    call = notification("trustpayments", form(PASSWORD, (name, "joe@example.com")))
    claim = TRUSTPAYMENTS.parse(call, account("trustpayments"))
    assert claim.warnings == ("unexpected_field",)
    assert TRUSTPAYMENTS.verify(claim, call, account("trustpayments")) == "authentic"
    lookup = TRUSTPAYMENTS.plan(claim, call)
    assert (lookup.reference, lookup.arguments) == ("57-9-1", {})


def test_configured_fields_are_no_warning() -> None:
    shop = account("trustpayments", extra_fields=["billingemail"], repeated_fields=["errordata"])
    call = notification("trustpayments", form(PASSWORD, ("billingemail", "x"), ("errordata", "b"), ("errordata", "a")))
    assert TRUSTPAYMENTS.parse(call, shop).warnings == ()


def test_values_split_again_cost_one_lookup_and_carry_nothing_into_it() -> None:
    """The gateway's own example of a weak hash: a decline whose digits are moved into a field of another name."""
    declined = form(errorcode="70000")
    digest = declined.rpartition("=")[2]
    split = form(errorcode="0", a="7000", responsesitesecurity=digest)
    lookup = planned(split)
    assert (lookup.reference, lookup.arguments) == ("57-9-1", {})


@given(st.lists(st.from_regex(r"[a-z]{8}", fullmatch=True), min_size=1, max_size=3, unique=True), st.integers(1, 10**6))
def test_invented_fields_make_duplicates_of_one_hash_and_transaction(names: list[str], number: int) -> None:
    """A field without a value changes no hash: one captured form would cause as many lookups as names are invented."""
    digest = form().rpartition("=")[2]
    first, other = (
        form(
            PASSWORD,
            *((f"z{name}", "") for name in invented),
            notificationreference=f"57-A{call}",
            responsesitesecurity=digest,
        )
        for invented, call in ((["first"], 1), (names, number))
    )
    shop = account("trustpayments")
    keys = [TRUSTPAYMENTS.parse(notification("trustpayments", body), shop).duplicate_key for body in (first, other)]
    assert keys[0] == keys[1] is not None
    assert planned(other).reference == "57-9-1"
    assert keys[0] != TRUSTPAYMENTS.parse(notification("trustpayments", form()), shop).duplicate_key


UNSIGNED: Final = form(responsesitesecurity=None)


def test_form_without_a_hash_is_an_unsigned_hint_where_the_merchant_accepts_it() -> None:
    shop, call = account("trustpayments", accept_unsigned=True), notification("trustpayments", UNSIGNED)
    claim = TRUSTPAYMENTS.parse(call, shop)
    assert TRUSTPAYMENTS.verify(claim, call, shop) == "unsigned"
    assert TRUSTPAYMENTS.plan(claim, call).reference == "57-9-1"
    assert claim.duplicate_key is None, "an unsigned call must not make the gateway's own call a duplicate"
    assert reason_of(UNSIGNED) == "missing_signature"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (form("another password"), "bad_signature"),
        (form(responsesitesecurity=None, transactionreference=None), "missing_signature"),
        (form(responsesitesecurity=None, sitereference="test_other"), "malformed"),
        (form(responsesitesecurity=None, transactionreference="x"), "missing_signature"),
        (form(PASSWORD, ("errorcode", "0"), responsesitesecurity=None), "unexpected_field"),
    ],
)
def test_unsigned_forms_are_checked_like_signed_ones(body: str, reason: str) -> None:
    assert reason_of(body, account("trustpayments", accept_unsigned=True)) == reason


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
