"""OmniKassa's vectors, judged by the official SDKs, through the provider's code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from paynotify.processors.providers.omnikassa.return_url import check_return
from paynotify.processors.providers.omnikassa.signature import signed
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from tests.fakes.accounts import account, notification, response, vectors

OMNIKASSA: Final = provider_specs()["omnikassa"].provider
#: before every expiry in the vectors that is one
EARLY: Final = datetime(1999, 1, 1, tzinfo=UTC)


def _of(*kinds: str) -> list[Any]:
    return [pytest.param(one, id=one["id"]) for one in vectors("omnikassa")["vectors"] if one["kind"] in kinds]


def _poi(vector: Any) -> int:
    body = json.loads(vector["body"])
    try:
        return abs(int(float(body["poiId"] if "poiId" in body else body["orderResults"][0]["poiId"])))
    except (LookupError, TypeError):
        return 123


def _account(vector: Any) -> Any:
    version = 2 if vector["kind"] == "order_results_v2" else 1
    keys = [{"value": vector["signing_key_base64"]}]
    return account("omnikassa", poi_id=_poi(vector), signing_keys=keys, results_version=version)


#: Authentic by the SDKs' verdict, yet nothing to pull with; the reason says why.
UNUSABLE: Final = {"N01": "unknown_event", "N15": "expired_token", "N39": "unknown_event", "N44": "malformed"}


@pytest.mark.parametrize("vector", _of("notification"))
def test_notifications_are_judged_as_the_sdks_judge_them(vector: Any) -> None:
    shop = _account(vector)
    call = notification("omnikassa", vector["body"], at=EARLY)
    reason = UNUSABLE.get(vector["id"])
    if vector["expected_valid"] is False:
        reason = "malformed" if vector["id"] == "N48" else "bad_signature"
    if reason is not None:
        with pytest.raises(RejectedNotificationError) as rejected:
            OMNIKASSA.verify(OMNIKASSA.parse(call, shop), call, shop)
        assert rejected.value.reason == reason
        return
    claim = OMNIKASSA.parse(call, shop)
    assert OMNIKASSA.verify(claim, call, shop) == "authentic"
    assert claim.detail.signed_text() == vector["signing_string"]
    lookup = OMNIKASSA.plan(claim, call)
    body = json.loads(vector["body"])
    assert lookup.arguments == {"event": body["eventName"], "token": body["authentication"], "expires": body["expiry"]}


@pytest.mark.parametrize("vector", _of("order_results_v1", "order_results_v2"))
def test_pages_are_judged_as_the_sdks_judge_them(vector: Any) -> None:
    answer = response(vector["body"])
    if vector["expected_valid"] is False:
        with pytest.raises(UnreadableError) as unreadable:
            OMNIKASSA.interpret(answer, _account(vector))
        assert unreadable.value.reason == "unverified_answer"
        return
    if vector["id"] == "R46":  # the page itself is malformed, not one of its orders
        with pytest.raises(UnreadableError):
            OMNIKASSA.interpret(answer, _account(vector))
        return
    interpretation = OMNIKASSA.interpret(answer, _account(vector))
    if vector.get("recommended_processor_outcome") == "reject_malformed":
        assert interpretation.observations == ()
        assert [one.reason for one in interpretation.odd] == ["unreadable_answer"]
        return
    assert interpretation.odd == ()
    observations = interpretation.observations
    orders = json.loads(vector["body"])["orderResults"]
    assert [one.payment_id for one in observations] == [order["omnikassaOrderId"] for order in orders]
    assert [one.order_id for one in observations] == [order["merchantOrderId"] for order in orders]
    for one, order in zip(observations, orders, strict=True):
        assert one.provider_status["orderStatus"] == order["orderStatus"]
        assert one.amount is not None
        assert (one.amount.value, one.amount.currency) == (
            int(order["totalAmount"]["amount"]),
            order["totalAmount"]["currency"],
        )
        assert (one.paid is not None) == (order["orderStatus"] == "COMPLETED")


def test_unknown_order_status_is_surfaced() -> None:
    (vector,) = [one for one in vectors("omnikassa")["vectors"] if one["id"] == "R37"]
    (observation,) = OMNIKASSA.interpret(response(vector["body"]), _account(vector)).observations
    assert observation.status == "unknown"
    assert observation.provider_status == {"orderStatus": "SOMETHING_NEW"}


def test_stored_version_wins_over_the_configured_one() -> None:
    """After a merchant moved to v2, pages pulled as v1 still verify."""
    (vector,) = [one for one in vectors("omnikassa")["vectors"] if one["id"] == "S03"]
    shop = account("omnikassa", poi_id=5000, results_version=1)
    with pytest.raises(UnreadableError):
        OMNIKASSA.interpret(response(vector["body"]), shop)
    assert OMNIKASSA.interpret(response(vector["body"], **{"results-version": "2"}), shop).observations


@pytest.mark.parametrize("vector", _of("return_url"))
def test_return_urls_are_judged_as_the_sdks_judge_them(vector: Any) -> None:
    parameters = json.loads(vector["body"])
    if vector["expected_valid"]:
        check_return(parameters, _account(vector))
        return
    with pytest.raises(RejectedNotificationError) as rejected:
        check_return(parameters, _account(vector))
    assert rejected.value.reason == "bad_signature"


@pytest.mark.parametrize("vector", _of("raw_hmac"))
def test_keys_are_base64_and_signatures_lower_case_hex(vector: Any) -> None:
    shop = account("omnikassa", signing_keys=[{"value": vector["signing_key_base64"]}])
    assert signed(vector["signing_string"], vector["correct_signature"], shop)
    assert not signed(vector["signing_string"], vector["correct_signature"].upper(), shop)
