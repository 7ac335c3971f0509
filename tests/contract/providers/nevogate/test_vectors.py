"""Nevogate's vectors: recorded SDK answers, webhook shapes, the status table and the error codes."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from paynotify.processors.providers.nevogate.interpretation import STATUSES
from paynotify.processors.providers.nevogate.provider import CREDENTIALS, REFUSALS
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.money import Money
from tests.fakes.accounts import TRANSACTION, account, notification, response, vectors

NEVOGATE: Final = provider_specs()["nevogate"].provider
VECTORS: Final = vectors("nevogate")


@pytest.mark.parametrize("case", VECTORS["webhook_cases"], ids=lambda one: one["id"])
def test_webhook_calls_give_the_id_and_nothing_else(case: Any) -> None:
    request, expected = case["request"], case["expect"]
    call = notification("nevogate", request["body"], method=request["http_method"], query=request["query"])
    shop = account("nevogate")
    if expected["kind"] == "reject":
        with pytest.raises(RejectedNotificationError) as rejected:
            NEVOGATE.parse(call, shop)
        assert rejected.value.reason == "malformed"
        return
    claim = NEVOGATE.parse(call, shop)
    assert claim.duplicate_key is None
    assert (claim.alert.name if claim.alert else None) == expected.get("alert")
    assert claim.reference == expected.get("transaction_id")
    assert NEVOGATE.verify(claim, call, shop) == "unsigned"
    if claim.alert is None:
        lookup = NEVOGATE.plan(claim, call)
        assert (lookup.operation, lookup.reference, lookup.arguments) == ("result", TRANSACTION, {})


CANONICAL: Final = {"authorized": "authorised", "released": "cancelled", "canceled": "cancelled"}


@pytest.mark.parametrize(
    "row", VECTORS["status_classification"], ids=lambda one: f"{one['ResultCode']}-{one['CommitState']}"
)
def test_answers_map_as_classified(row: Any) -> None:
    answer = {name: row[name] for name in ("ResultCode", "AutoCommit", "CommitState")}
    (one,) = NEVOGATE.interpret(
        response(json.dumps({"TransactionId": TRANSACTION, "Amount": "100", "Currency": "HUF", **answer})),
        account("nevogate"),
    ).observations
    # the vectors call a TIMEOUT failed, the canonical table expired: both end without money
    expected = "expired" if row["ResultCode"] == "TIMEOUT" else row["payment_status"]
    assert one.status == CANONICAL.get(expected, expected)
    assert one.amount == Money(10000, "HUF"), "without an amount nothing is captured: see the provider's tests"


@pytest.mark.parametrize(
    "pair",
    [one for one in VECTORS["sdk_pairs"] if one["api_method"] in ("Result", "StartRP", "Details")],
    ids=lambda one: one["id"],
)
def test_recorded_answers_are_read(pair: Any) -> None:
    recorded = pair["sdk_decoded_response"]
    expected = recorded.get("CommonData", recorded)
    if expected["ResultCode"] not in STATUSES:
        with pytest.raises(UnreadableError):
            NEVOGATE.interpret(response(pair["response"]["body"]), account("nevogate"))
        return
    (one,) = NEVOGATE.interpret(response(pair["response"]["body"]), account("nevogate")).observations
    assert one.payment_id == expected["TransactionId"]
    assert one.order_id == expected["OrderId"]
    assert one.amount is not None
    # the wire has major units, the stream minor ones, and the forint has two digits in ISO 4217
    assert (one.amount.value, one.amount.currency) == (int(expected["Amount"]) * 100, expected["Currency"])
    assert one.provider_time is None


def test_documented_error_code_is_in_a_table() -> None:
    listed = {code for name, codes in VECTORS["error_codes"].items() if name != "note" for code in codes}
    assert listed - CREDENTIALS - REFUSALS == {"UnknownTransaction"}
    assert not (CREDENTIALS | REFUSALS) & STATUSES.keys()
