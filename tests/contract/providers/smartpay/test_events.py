"""Smart Pay's events: what a signature must prove, whose event it is, and what it asks for."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Notification, ParsedNotification
from paynotify.processors.providers.smartpay.contract import MAX_AGE_SECONDS
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing, base64url
from paynotify.sandbox.simulators.smartpay.settings import Algorithm
from paynotify.schemas.errors import RejectedNotificationError, UndecidedNotificationError
from tests.fakes.accounts import NOW, account
from tests.fakes.signed_events import ORDER_ID, SUBSCRIPTION, event_body, event_data, key_file, signed_event

ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
KEYS: Final = KeyRing()
KEY: Final = KEYS.signing("ES256")


@pytest.fixture
def file(tmp_path: Path) -> str:
    return key_file(KEYS, tmp_path)


def accepted(call: Notification, shop: Account[Any]) -> ParsedNotification:
    provider = SmartPayProvider()
    parsed = provider.parse(call, shop)
    assert provider.verify(parsed, call, shop) == "authentic"
    return parsed


def refused(call: Notification, shop: Account[Any]) -> str:
    with pytest.raises(RejectedNotificationError) as rejected:
        accepted(call, shop)
    return rejected.value.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_listed_algorithm_is_accepted_until_the_configuration_narrows_them(
    algorithm: Algorithm, tmp_path: Path
) -> None:
    keys = KeyRing()
    call = signed_event(keys.signing(algorithm))
    shop = account("smartpay", jwks_file=key_file(keys, tmp_path))
    assert accepted(call, shop).reference == ORDER_ID
    others = [one for one in ALGORITHMS if one != algorithm]
    assert refused(call, account("smartpay", jwks_file=key_file(keys, tmp_path), algorithms=others)) == "algorithm"


def test_rotated_keys_are_valid_side_by_side_until_one_is_retired(tmp_path: Path) -> None:
    keys = KeyRing()
    old = keys.signing("ES256")
    new = keys.rotate("ES256")
    shop = account("smartpay", jwks_file=key_file(keys, tmp_path))
    assert [accepted(signed_event(key), shop).reference for key in (old, new)] == [ORDER_ID] * 2
    keys.retire()
    shop = account("smartpay", jwks_file=key_file(keys, tmp_path))
    with pytest.raises(UndecidedNotificationError, match="no published key"):
        accepted(signed_event(old), shop)


def test_signature_counts_by_either_of_two_keys_with_one_id(tmp_path: Path) -> None:
    keys = KeyRing()
    key = keys.signing("RS256")
    keys.twin("RS256")
    shop = account("smartpay", jwks_file=key_file(keys, tmp_path))
    assert len({one.kid for one in keys.published}) == 1
    assert accepted(signed_event(key), shop).reference == ORDER_ID
    keys.published.remove(key)
    assert refused(signed_event(key), account("smartpay", jwks_file=key_file(keys, tmp_path))) == "bad_signature"


def test_another_shops_event_is_rejected_by_its_subscription(file: str) -> None:
    shop = account("smartpay", jwks_file=file, subscription_ids=[SUBSCRIPTION, "wsb_2"])
    assert accepted(signed_event(KEY), shop).reference == ORDER_ID
    assert accepted(signed_event(KEY, event_body(subscription={"id": "wsb_2"})), shop)
    for foreign in ({"id": "wsb_3"}, {"id": ""}, {}, None, "wsb_1"):
        assert refused(signed_event(KEY, event_body(subscription=foreign)), shop) == "mismatch"


def test_test_event_needs_no_subscription_but_must_not_have_a_foreign_one(file: str) -> None:
    shop = account("smartpay", jwks_file=file, subscription_ids=[SUBSCRIPTION])
    test = event_body(type="test/v1", subscription=None, data=None, timestamp=None)
    parsed = accepted(signed_event(KEY, test), shop)
    assert parsed.alert is not None
    assert (parsed.alert.kind, parsed.reference) == ("test_event", None)
    assert refused(signed_event(KEY, event_body(type="test/v1", subscription={"id": "wsb_9"})), shop) == "mismatch"


@pytest.mark.parametrize(
    "headers", [{"x_smartpay_event_id": "evt_2"}, {"x_smartpay_event_type": "test/v1"}, {"x_smartpay_event_id": ""}]
)
def test_unsigned_headers_must_say_what_the_signed_body_says(headers: dict[str, str], file: str) -> None:
    assert refused(signed_event(KEY, None, **headers), account("smartpay", jwks_file=file)) == "mismatch"


def test_event_may_be_as_old_as_the_bank_repeats_it(file: str) -> None:
    shop = account("smartpay", jwks_file=file)
    oldest = int((NOW - timedelta(seconds=MAX_AGE_SECONDS)).timestamp())
    assert accepted(signed_event(KEY, event_body(timestamp=oldest)), shop).warnings == ()
    assert refused(signed_event(KEY, event_body(timestamp=oldest - 1)), shop) == "stale"
    ahead = int((NOW + timedelta(minutes=6)).timestamp())
    assert accepted(signed_event(KEY, event_body(timestamp=ahead)), shop).warnings == ("clock_ahead",)


@pytest.mark.parametrize("timestamp", ["1780000000", 1.5, True, -1, 10**30, [], None])
def test_odd_timestamp_is_no_reason_to_lose_an_event(timestamp: Any, file: str) -> None:
    assert accepted(signed_event(KEY, event_body(timestamp=timestamp)), account("smartpay", jwks_file=file))


@pytest.mark.parametrize("order_id", [None, "", "1", 7, ORDER_ID + "/..", "g" * 36, [ORDER_ID]])
def test_event_without_an_order_of_the_banks_form_is_malformed(order_id: Any, file: str) -> None:
    call = signed_event(KEY, event_body(data=event_data(order_id=order_id)))
    assert refused(call, account("smartpay", jwks_file=file)) == "malformed"


def test_order_id_in_capitals_asks_for_the_same_order(file: str) -> None:
    call = signed_event(KEY, event_body(data=event_data(order_id=ORDER_ID.upper())))
    assert accepted(call, account("smartpay", jwks_file=file)).reference == ORDER_ID


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kid": KEY.kid}, "algorithm"),
        ({"alg": "none", "kid": KEY.kid}, "algorithm"),
        ({"alg": "ES256"}, "unknown_key"),
        ({"alg": "ES256", "kid": 1}, "unknown_key"),
        ({"alg": "RS256", "kid": KEY.kid}, "algorithm"),
        ({"alg": "ES256", "kid": KEY.kid, "b64": False}, "malformed"),
        ({"alg": "ES256", "kid": KEY.kid, "b64": "false", "crit": ["b64"]}, "malformed"),
        ({"alg": "ES256", "kid": KEY.kid, "crit": ["b64"]}, "malformed"),
        ({"alg": "ES256", "kid": KEY.kid, "b64": False, "crit": ["b64", "b64"]}, "malformed"),
        ({"alg": "ES256", "kid": KEY.kid, "crit": []}, "malformed"),
        ({"alg": "ES256", "kid": KEY.kid, "jwk": KEY.public()}, "bad_signature"),
        (["ES256"], "malformed"),
    ],
)
def test_signatures_header_is_judged_before_the_signature(header: Any, reason: str, file: str) -> None:
    head, _, sign = KEY.sign(event_body()).split(".")
    head = base64url(json.dumps(header).encode())
    call = signed_event(KEY, x_smartpay_signature=f"{head}..{sign}")
    assert refused(call, account("smartpay", jwks_file=file)) == reason


def test_member_that_comes_twice_in_the_header_is_malformed(file: str) -> None:
    head = base64url(f'{{"alg": "none", "kid": "{KEY.kid}", "alg": "ES256"}}'.encode())
    call = signed_event(KEY, x_smartpay_signature=f"{head}..AAAA")
    assert refused(call, account("smartpay", jwks_file=file)) == "malformed"


@pytest.mark.parametrize(
    "form", ["{0}.{1}", "{0}..{1}.x", "{0}...{1}", "..{1}", "{0}..", "{0}..{1}=", "{0}..{1}, x", " "]
)
def test_other_forms_of_the_signature_are_refused(form: str, file: str) -> None:
    head, _, sign = KEY.sign(event_body()).split(".")
    call = signed_event(KEY, x_smartpay_signature=form.format(head, sign))
    expected = "malformed" if form.strip() else "missing_signature"
    assert refused(call, account("smartpay", jwks_file=file)) == expected


def test_signature_longer_than_is_stored_is_malformed(file: str) -> None:
    call = signed_event(KEY, x_smartpay_signature=KEY.sign(event_body()) + "A" * 8192)
    assert refused(call, account("smartpay", jwks_file=file)) == "malformed"
