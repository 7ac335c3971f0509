"""OmniKassa's rules one by one: what is judged, in which order, and with which word."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import ParsedNotification
from paynotify.processors.providers.omnikassa.return_url import check_return
from paynotify.processors.providers.omnikassa.signature import results_text
from paynotify.processors.providers.rabobank.values import instant, plain_integer
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError, SecretError, UnreadableError
from tests.fakes.accounts import NOW, OMNIKASSA_KEY, account, notification, response

OMNIKASSA: Final = provider_specs()["omnikassa"].provider
FIELDS: Final[dict[str, Any]] = {
    "authentication": "eyJh.eyJi.c2ln",
    "expiry": "2026-06-01T14:10:00.000+02:00",
    "eventName": "merchant.order.status.changed",
    "poiId": 123,
}


def sign(text: str, key: str = OMNIKASSA_KEY) -> str:
    return hmac.new(base64.b64decode(key), text.encode(), hashlib.sha512).hexdigest()


def ping(key: str = OMNIKASSA_KEY, **changes: Any) -> str:
    """A ping that is signed after the changes; a change to ``...`` leaves the field out."""
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not ...}
    texts = ["" if fields.get(name) is None else str(fields.get(name)) for name in FIELDS]
    return json.dumps({"signature": sign(",".join(texts), key), **fields})


def judged(body: str, shop: Account[Any] | None = None, at: datetime = NOW) -> ParsedNotification:
    call = notification("omnikassa", body, at=at)
    shop = shop or account("omnikassa")
    claim = OMNIKASSA.parse(call, shop)
    assert OMNIKASSA.verify(claim, call, shop) == "authentic"
    return claim


def reason_of(body: str, shop: Account[Any] | None = None, at: datetime = NOW) -> str:
    with pytest.raises(RejectedNotificationError) as rejected:
        judged(body, shop, at)
    return rejected.value.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("null", "malformed"),
        ('"text"', "malformed"),
        ('{"poiId": NaN}', "malformed"),
        ("[" * 5000, "malformed"),
        ("{}", "missing_signature"),
        (ping(signature=None), "missing_signature"),
        (ping(signature=""), "missing_signature"),
        (ping(signature=5), "malformed"),
        (ping(authentication=...), "malformed"),
        (ping(authentication=5), "malformed"),
        (ping(eventName=None), "malformed"),
        (ping(expiry=1780000000), "malformed"),
        (ping(poiId=...), "malformed"),
        (ping(poiId=True), "malformed"),
        (ping(poiId=123.5), "malformed"),
        (ping(poiId="12a"), "malformed"),
        (ping(poiId="١٢٣"), "malformed"),
        (ping(poiId=10**30), "malformed"),
        (ping(poiId="-5"), "malformed"),
        (ping(signature="0" * 128), "bad_signature"),
        (ping(signature="é" * 128), "bad_signature"),
        (ping(poiId=124), "unknown_merchant"),
        (ping(eventName="merchant.order.status.changed2"), "unknown_event"),
        (ping(eventName=""), "unknown_event"),
        (ping(authentication="no token"), "malformed"),
        (ping(authentication="a.b.c\n"), "malformed"),
        (ping(authentication=""), "malformed"),
        (ping(authentication="aa.bb." + "c" * 9000), "malformed"),
        (ping(authentication="aa", expiry="bb.cc.dd,2026-06-01T14:10:00.000+02:00"), "malformed"),
        (ping(expiry=None), "expired_token"),
        (ping(expiry=...), "expired_token"),
        (ping(expiry="tomorrow"), "expired_token"),
        (ping(expiry="2026-06-01T14:10:00.000"), "expired_token"),
        (ping(expiry="2026-13-01T14:10:00.000Z"), "expired_token"),
        (ping(expiry="0001-01-01T00:00:00+14:00"), "expired_token"),
        (ping(expiry="2026-06-01T12:00:00Z"), "expired_token"),
    ],
)
def test_ping_that_can_cause_no_pull_is_rejected_with_its_reason(body: str, reason: str) -> None:
    assert reason_of(body) == reason


@pytest.mark.parametrize(("ingress_hours", "reason"), [(-2, "expired_token"), (2, "")])
def test_expiry_is_judged_by_when_the_brokers_stored_the_ping(ingress_hours: int, reason: str) -> None:
    shop = account("omnikassa")
    received_at = NOW + timedelta(hours=ingress_hours)
    stored_at = NOW + timedelta(minutes=11 if reason else 9)
    call = replace(notification("omnikassa", ping(), at=received_at), stored_at=stored_at)
    if not reason:
        assert OMNIKASSA.verify(OMNIKASSA.parse(call, shop), call, shop) == "authentic"
        return
    with pytest.raises(RejectedNotificationError) as rejected:
        OMNIKASSA.verify(OMNIKASSA.parse(call, shop), call, shop)
    assert rejected.value.reason == reason


@pytest.mark.parametrize("token", ["eyJh.eyJi.c2ln", "MyJwt", "a.b", "a.b.c.d.e", "a-_"])
def test_token_is_not_read_only_passed_on(token: str) -> None:
    assert judged(ping(authentication=token))


def test_authenticity_is_judged_before_anything_a_stranger_could_learn() -> None:
    for change in ({"eventName": "other"}, {"expiry": "never"}, {"poiId": 9}, {"authentication": "?"}):
        assert reason_of(ping(**change, signature="0" * 128)) == "bad_signature"


def test_any_active_key_will_do_and_no_other() -> None:
    other = base64.b64encode(b"another key").decode()
    both = account("omnikassa", signing_keys=[{"value": other}, {"value": OMNIKASSA_KEY}])
    assert judged(ping(), both)
    assert judged(ping(key=other), both)
    assert reason_of(ping(key=other)) == "bad_signature"
    assert reason_of(ping(key=base64.b64encode(OMNIKASSA_KEY.encode()).decode())) == "bad_signature"


def test_key_that_is_not_base64_is_the_operators_problem_and_hides_no_other() -> None:
    with pytest.raises(SecretError, match="base64"):
        judged(ping(), account("omnikassa", signing_keys=[{"value": "not base64!"}]))
    shop = account("omnikassa", signing_keys=[{"value": "not base64!"}, {"value": OMNIKASSA_KEY}])
    assert judged(ping(), shop)
    # a stranger's ping must not stop the stage because one key of two is wrong
    assert reason_of(ping(signature="0" * 128), shop) == "bad_signature"


@pytest.mark.parametrize("poi_id", [123, "123", "00123", 123.0])
def test_poi_ids_are_signed_as_plain_decimals(poi_id: object) -> None:
    body = json.dumps({**json.loads(ping()), "poiId": poi_id})
    assert judged(body).detail.poi_id == "123"


def test_copies_are_duplicates_and_another_token_is_not() -> None:
    key = judged(ping()).duplicate_key
    assert judged(json.dumps(json.loads(ping()), indent=3)).duplicate_key == key
    assert judged(ping(authentication="eyJh.eyJi.c2lo")).duplicate_key != key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T01:59:59.9+01:00", datetime(2026, 3, 29, 0, 59, 59, 900_000, UTC)),
        ("2026-03-29T01:59:59+0100", datetime(2026, 3, 29, 0, 59, 59, 0, UTC)),
        ("2026-03-29T01:59:59.123456789Z", datetime(2026, 3, 29, 1, 59, 59, 123_456, UTC)),
        ("2026-03-29T01:59Z", datetime(2026, 3, 29, 1, 59, tzinfo=UTC)),
        ("2026-03-29T01:59:59,9+01:00", None),
        ("2026-03-29 01:59:59+01:00", None),
        ("20260329T015959Z", None),
        ("2026-W13-7T01:59:59Z", None),
        ("2026-03-29T01:59:59.Z", None),
        ("2026-03-29T01:59:59.1234567890Z", None),
        ("2026-03-29T01:59:59Z\n", None),
        ("", None),
    ],
)
def test_instants_are_read_as_the_bank_writes_them(text: str, expected: datetime | None) -> None:
    assert instant(text) == expected


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_plain_integers_are_plain_or_nothing(value: object) -> None:
    text = plain_integer(value)
    assert text is None or (str(int(text)) == text and len(text) < 20)


ORDER: Final[dict[str, Any]] = {
    "merchantOrderId": "A,1",
    "omnikassaOrderId": "1d0a95f4-2589-439b-9562-c50aa19f9caf",
    "poiId": "123",
    "orderStatus": "COMPLETED",
    "orderStatusDateTime": "2026-06-01T14:00:00.1+02:00",
    "errorCode": None,
    "paidAmount": {"amount": "599", "currency": "EUR"},
    "totalAmount": {"amount": 599, "currency": "EUR"},
}


def page(*orders: dict[str, Any], version: int = 2) -> str:
    content = {"moreOrderResultsAvailable": False, "orderResults": list(orders)}
    return json.dumps({**content, "signature": sign(results_text(content, version))})


def test_order_is_published_with_its_own_times_and_amounts() -> None:
    (one,) = OMNIKASSA.interpret(response(page(ORDER)), account("omnikassa")).observations
    assert (one.order_id, one.status) == ("A,1", "captured")
    assert one.provider_time == "2026-06-01T12:00:00.100Z"
    assert one.observed_at == "2026-06-01T12:00:00.000Z"
    assert one.paid == one.amount
    assert one.provider_status == {"orderStatus": "COMPLETED"}


def test_free_text_never_becomes_a_published_word() -> None:
    odd = {**ORDER, "orderStatus": "Paid by J. Doe", "errorCode": "card 4111 1111"}
    (one,) = OMNIKASSA.interpret(response(page(odd)), account("omnikassa")).observations
    assert one.status == "unknown"
    assert one.provider_status == {}


ODD: Final[dict[str, dict[str, Any]]] = {
    "another shop's": {"poiId": 124},
    "no number of a shop": {"poiId": None},
    "no id": {"omnikassaOrderId": None},
    "an empty id": {"omnikassaOrderId": ""},
    "an id with a comma": {"omnikassaOrderId": "B,C"},
    "too long an id": {"omnikassaOrderId": "x" * 37},
    "no amount": {"totalAmount": None},
    "an amount that is none": {"totalAmount": 5},
    "an amount in major units": {"totalAmount": {"amount": "5.99", "currency": "EUR"}},
    "a huge amount": {"totalAmount": {"amount": 10**400, "currency": "EUR"}},
    "an unknown currency": {"totalAmount": {"amount": "599", "currency": "euro"}},
    "paid nothing one can read": {"paidAmount": {"amount": True, "currency": "EUR"}},
    "a lone surrogate": {"merchantOrderId": "A-\ud800-1"},
    "an order number that is a list": {"merchantOrderId": ["A"]},
    "an endless order number": {"merchantOrderId": "A" * 1_000_000},
}


def _java_signed(*orders: Any) -> str:
    """A page as the bank's Java signs it: what is no Unicode is a question mark in the signed bytes."""
    content = {"moreOrderResultsAvailable": False, "orderResults": list(orders)}
    text = results_text(content, 2).encode("utf-8", "replace")
    signature = hmac.new(base64.b64decode(OMNIKASSA_KEY), text, hashlib.sha512).hexdigest()
    return json.dumps({**content, "signature": signature})


def _numbered(number: int) -> dict[str, Any]:
    return {**ORDER, "omnikassaOrderId": f"{number:08d}-2589-439b-9562-c50aa19f9caf"}


@pytest.mark.parametrize("kind", sorted(ODD))
@given(count=st.integers(0, 99), place=st.integers(0, 99))
def test_one_odd_order_costs_no_other_order_of_its_page(kind: str, count: int, place: int) -> None:
    orders = [_numbered(number) for number in range(count)]
    place = min(place, count)
    orders.insert(place, {**_numbered(999), **ODD[kind]})
    interpretation = OMNIKASSA.interpret(response(_java_signed(*orders)), account("omnikassa"))
    assert [one.payment_id for one in interpretation.observations] == [
        _numbered(number)["omnikassaOrderId"] for number in range(count)
    ]
    (odd,) = interpretation.odd
    assert odd.place == f"orderResults/{place}"
    assert odd.reason == ("unknown_merchant" if kind == "another shop's" else "unreadable_answer") or kind.startswith(
        "no number"
    )


@pytest.mark.parametrize("odd", [None, 1, "text", []])
def test_element_that_is_no_order_is_odd_alone(odd: object) -> None:
    interpretation = OMNIKASSA.interpret(response(_java_signed(odd, ORDER)), account("omnikassa"))
    assert [one.place for one in interpretation.odd] == ["orderResults/0"]
    assert len(interpretation.observations) == 1


@pytest.mark.parametrize(
    "member",
    [
        '"extra": NaN',
        '"extra": -Infinity',
        '"extra": 1e400',
        '"extra": ' + "[" * 5000 + "]" * 5000,
        '"extra": ' + '{"a":' * 5000 + "1" + "}" * 5000,
        '"extra": "\\ud800"',
        '"extra": ' + "9" * 10_000,
        '"extra": "tab\there"',
        f'"omnikassaOrderId": "{ORDER["omnikassaOrderId"]}"',
    ],
    ids=["NaN", "infinity", "huge float", "deep list", "deep object", "surrogate", "huge integer", "tab", "twice"],
)
def test_unsigned_member_that_a_strict_reader_refuses_costs_nothing(member: str) -> None:
    body = _java_signed(ORDER, _numbered(2)).replace('"poiId"', f'{member}, "poiId"', 1)
    interpretation = OMNIKASSA.interpret(response(body), account("omnikassa"))
    assert len(interpretation.observations) == 2
    assert interpretation.odd == ()


def test_byte_order_mark_before_a_page_or_a_ping_costs_nothing() -> None:
    mark = b"\xef\xbb\xbf"
    assert len(OMNIKASSA.interpret(response(mark + page(ORDER).encode()), account("omnikassa")).observations) == 1
    wide = page(ORDER).encode("utf-16")
    assert len(OMNIKASSA.interpret(response(wide), account("omnikassa")).observations) == 1
    shop, call = account("omnikassa"), notification("omnikassa", mark + ping().encode())
    assert OMNIKASSA.verify(OMNIKASSA.parse(call, shop), call, shop) == "authentic"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "null",
        '{"errorCode": 5001}',
        "{}",
        '{"moreOrderResultsAvailable": 0}',
        '{"moreOrderResultsAvailable": true, "orderResults": {}}',
        '{"moreOrderResultsAvailable": true, "orderResults": "none"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '"' * 100_000,
    ],
)
def test_body_that_is_no_page_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableError) as unreadable:
        OMNIKASSA.interpret(response(body), account("omnikassa"))
    assert unreadable.value.reason == "unreadable_answer"


@pytest.mark.parametrize("signature", [None, "", 5, "0" * 128])
def test_page_without_a_right_signature_is_unverified(signature: object) -> None:
    body = json.dumps({**json.loads(page(ORDER)), "signature": signature})
    with pytest.raises(UnreadableError) as unreadable:
        OMNIKASSA.interpret(response(body), account("omnikassa"))
    assert unreadable.value.reason == "unverified_answer"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"order_id": "7,7"}, "malformed"),
        ({"order_id": "x" * 25}, "malformed"),
        ({"status": "completed"}, "malformed"),
        ({"signature": ""}, "missing_signature"),
        ({"signature": "wrong"}, "bad_signature"),
        ({"signature": "\ud800"}, "bad_signature"),
    ],
)
def test_return_urls_are_narrow(change: dict[str, str], reason: str) -> None:
    parameters = {"order_id": "77", "status": "COMPLETED", **change}
    parameters.setdefault("signature", sign(f"{parameters['order_id']},{parameters['status']}"))
    with pytest.raises(RejectedNotificationError) as rejected:
        check_return(parameters, account("omnikassa"))
    assert rejected.value.reason == reason


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "signature", "x"]), inner),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_parsing_and_verifying_raise_nothing_but_rejected(body: bytes) -> None:
    shop, call = account("omnikassa"), notification("omnikassa", body)
    with pytest.raises(RejectedNotificationError):
        OMNIKASSA.verify(OMNIKASSA.parse(call, shop), call, shop)


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_interpreting_raises_nothing_but_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        OMNIKASSA.interpret(response(body), account("omnikassa"))


def test_lookup_has_what_a_pull_needs_and_nothing_else() -> None:
    body = json.dumps({**json.loads(ping()), "status": "COMPLETED", "orderId": "secret"})
    call = notification("omnikassa", body, at=NOW - timedelta(minutes=1))
    lookup = OMNIKASSA.plan(judged(body), call)
    assert set(lookup.arguments) == {"event", "token", "expires"}
    assert lookup.reference is None
    assert lookup.received_at == "2026-06-01T11:59:00.000Z"
