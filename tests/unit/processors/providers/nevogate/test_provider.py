"""Nevogate's rules one by one: where an id may be, what is an alert, and what an answer says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.providers.base import ParsedNotification, ProviderResponse
from processors.providers.registry import provider_specs
from schemas.errors import RejectedNotificationError, UnreadableError
from schemas.messages import Observation
from schemas.money import Money
from schemas.times import rfc3339
from tests.fakes.accounts import NOW, TRANSACTION, account, notification, response

NEVOGATE: Final = provider_specs()["nevogate"].provider
OTHER: Final = "0" * 32


def claimed(body: str | bytes, query: str = "", method: str = "POST") -> ParsedNotification:
    return NEVOGATE.parse(notification("nevogate", body, query=query, method=method), account("nevogate"))


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"commonData": {"transactionId": TRANSACTION}}, ""),
        ({"commonData": {"TransactionId": TRANSACTION}}, ""),
        ({"CommonData": {"transactionId": TRANSACTION, "resultCode": "SUCCESSFUL"}}, ""),
        ({"commonData": {"transactionId": TRANSACTION}, "TransactionId": OTHER}, f"TransactionId={OTHER}"),
        ({"TransactionId": TRANSACTION}, ""),
        ({"transactionId": TRANSACTION}, f"TransactionId={OTHER}"),
        ({"commonData": {}}, f"TransactionId={TRANSACTION}"),
        ({"commonData": "text"}, f"a=b&transactionId={TRANSACTION}&TransactionId={TRANSACTION}"),
        ({}, f"TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": ""}, "TransactionId": TRANSACTION}, ""),
        ({"commonData": {"TransactionId": None, "transactionId": TRANSACTION}}, ""),
        ({"TransactionId": ""}, f"TransactionId={TRANSACTION}"),
        ([], f"TransactionId={TRANSACTION}"),
        (None, f"TransactionId={TRANSACTION}"),
    ],
)
def test_id_is_found_where_it_may_be(body: Any, query: str) -> None:
    assert claimed(json.dumps(body), query).reference == TRANSACTION


def test_slow_answer_counts_as_of_when_it_was_asked_for() -> None:
    answer = {"ResultCode": "PENDING", "TransactionId": TRANSACTION}
    asked_at = "2026-06-01T11:59:50.000Z"
    slow = replace(response(json.dumps(answer)), facts={"asked-at": asked_at})
    assert [one.observed_at for one in NEVOGATE.interpret(slow, account("nevogate")).observations] == [asked_at]
    (told,) = NEVOGATE.interpret(response(json.dumps(answer)), account("nevogate")).observations
    assert told.observed_at == rfc3339(NOW), "an answer stored by a former release"


@pytest.mark.parametrize("ahead_seconds", [0, 2, -3, 3600])
def test_when_it_was_asked_for_is_told_by_the_brokers_clock(ahead_seconds: int) -> None:
    ahead = timedelta(seconds=ahead_seconds)
    facts = {"asked-at": rfc3339(NOW - timedelta(seconds=1) + ahead)}
    made = replace(response(json.dumps({"ResultCode": "PENDING", "TransactionId": TRANSACTION})), facts=facts)
    (told,) = NEVOGATE.interpret(replace(made, clock_offset=-ahead), account("nevogate")).observations
    assert told.observed_at == rfc3339(NOW - timedelta(seconds=1))


@pytest.mark.parametrize("jumped_seconds", [3600, -3600])
def test_clock_that_jumps_while_the_answer_is_waited_for_moves_nothing(jumped_seconds: int) -> None:
    facts = {"asked-at": rfc3339(NOW - timedelta(seconds=1 + jumped_seconds))}
    made = replace(response(json.dumps({"ResultCode": "PENDING", "TransactionId": TRANSACTION})), facts=facts)
    (told,) = NEVOGATE.interpret(made, account("nevogate")).observations
    assert told.observed_at == rfc3339(NOW)


@pytest.mark.parametrize("body", [f"TransactionId={OTHER}", "<html>", "{", b"\xff"])
def test_body_that_is_no_json_takes_nothing_from_the_querys_id(body: str | bytes) -> None:
    """The call is owed its Result, whatever else it carries."""
    assert claimed(body, f"TransactionId={TRANSACTION}").reference == TRANSACTION
    with pytest.raises(RejectedNotificationError, match="not JSON"):
        claimed(body, f"TransactionId={TRANSACTION}x")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_call_without_a_body_has_its_id_in_the_query(method: str) -> None:
    assert claimed("", f"shop=1&TransactionId={TRANSACTION}", method).reference == TRANSACTION


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ("{}", "TransactionId="),
        ("{}", f"TransactionId={TRANSACTION}&TransactionId={OTHER}"),
        ("{}", f"transactionid={TRANSACTION}"),
        ("{}", "TransactionId=%ff"),
        (json.dumps({"TransactionId": TRANSACTION.upper()}), ""),
        (json.dumps({"TransactionId": TRANSACTION + "\n"}), ""),
        (json.dumps({"TransactionId": "' OR 1=1 --"}), ""),
        (json.dumps({"TransactionId": 5}), ""),
        (json.dumps({"Alert": {}}), ""),
    ],
)
def test_without_an_id_a_call_is_malformed(body: str, query: str) -> None:
    with pytest.raises(RejectedNotificationError) as rejected:
        claimed(body, query)
    assert rejected.value.reason == "malformed"


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"TransactionId": "' OR 1=1 --"}, f"TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": 5}}, f"TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": TRANSACTION.upper()}}, f"TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": "x"}, "transactionId": TRANSACTION}, ""),
        ({}, f"TransactionId=&TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": TRANSACTION}, "transactionId": OTHER}, f"TransactionId={OTHER}"),
    ],
)
def test_what_is_no_id_takes_nothing_from_another_place_that_holds_one(body: dict[str, Any], query: str) -> None:
    assert claimed(json.dumps(body), query).reference == TRANSACTION


def test_alert_is_no_payment_and_a_payment_with_such_a_member_is_no_alert() -> None:
    assert claimed('{"alertNoSuccessTransaction": {"storeName": "s"}}').alert == "alertNoSuccessTransaction"
    for name in ("alert", "alert<script>", "alert_2", "alert" + "x" * 61):
        assert claimed(json.dumps({name: {}})).alert == "alert", "its name is not repeated"
    both = claimed(json.dumps({"alertX": 1, "TransactionId": TRANSACTION}))
    assert (both.alert, both.reference) == (None, TRANSACTION)


def test_call_counts_so_none_is_a_duplicate() -> None:
    assert claimed(json.dumps({"TransactionId": TRANSACTION})).duplicate_key is None


@given(st.binary(max_size=100), st.text(st.characters(codec="utf-8"), max_size=60))
def test_parsing_raises_nothing_but_rejected_and_passes_only_ids(body: bytes, query: str) -> None:
    try:
        claim = claimed(body, query)
    except RejectedNotificationError:
        return
    assert claim.alert is not None or (claim.reference is not None and len(claim.reference) == 32)


def read(**fields: Any) -> Observation:
    answer = {"TransactionId": TRANSACTION, "ResultCode": "SUCCESSFUL", **fields}
    (one,) = NEVOGATE.interpret(response(json.dumps(answer)), account("nevogate")).observations
    return one


@pytest.mark.parametrize(
    ("auto_commit", "commit_state", "status"),
    [
        ("true", "", "captured"),
        ("TRUE", None, "captured"),
        (True, None, "captured"),
        (1, None, "captured"),
        ("false", "APPROVED", "captured"),
        (None, "APPROVED", "captured"),
        (False, "PENDING", "authorised"),
        ("False", "PENDING", "authorised"),
        (0, "PENDING", "authorised"),
        ("false", "DECLINED", "cancelled"),
        ("false", "RELEASED", "unknown"),
        ("false", "", "unknown"),
        ("false", ["PENDING"], "unknown"),
        (None, None, "unknown"),
        (None, "PENDING", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_successful_is_captured_only_on_evidence(auto_commit: Any, commit_state: Any, status: str) -> None:
    one = read(AutoCommit=auto_commit, CommitState=commit_state, Amount="100", Currency="HUF")
    assert one.status == status
    assert (one.paid is not None) == (status == "captured")


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("100", "HUF", Money(10000, "HUF")),
        ("10.50", "EUR", Money(1050, "EUR")),
        (10.5, "EUR", Money(1050, "EUR")),
        ("100", "JPY", Money(100, "JPY")),
        ("0.001", "EUR", None),
        ("1,5", "EUR", None),
        (None, "EUR", None),
        ("100", None, None),
    ],
)
def test_amounts_become_minor_units_or_nothing(amount: Any, currency: Any, expected: Money | None) -> None:
    assert read(AutoCommit="true", Amount=amount, Currency=currency).amount == expected


def test_only_closed_words_are_published() -> None:
    one = read(ResultMessage="Joe's card", CommitState="Joe's state", Created="2020-03-14 11:19:07")
    assert one.provider_status == {"ResultCode": "SUCCESSFUL"}
    assert one.provider_time is None
    assert one.order_id is None


@pytest.mark.parametrize(
    "answer",
    [
        {"ResultCode": "WrongApikey", "TransactionId": None},
        {"ResultCode": "SUCCESSFUL", "TransactionId": None},
        {"ResultCode": "SUCCESSFUL", "TransactionId": "x"},
        {"ResultCode": ["SUCCESSFUL"], "TransactionId": TRANSACTION},
        {"CommonData": None},
        {},
        [],
        None,
    ],
)
def test_what_says_nothing_of_a_payment_is_unreadable(answer: Any) -> None:
    with pytest.raises(UnreadableError):
        NEVOGATE.interpret(response(json.dumps(answer)), account("nevogate"))


def test_answer_about_another_transaction_is_unreadable() -> None:
    body = json.dumps({"ResultCode": "ERROR", "TransactionId": TRANSACTION}).encode()
    with pytest.raises(UnreadableError):
        NEVOGATE.interpret(ProviderResponse(body, "", 200, NOW, reference=OTHER), account("nevogate"))
