"""Nevogate's rules one by one: where an id may be, what is an alert, and what an answer says."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.providers.base import ParsedNotification, ProviderResponse
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.messages import Observation
from paynotify.schemas.money import Money
from paynotify.schemas.times import rfc3339
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
        ({"commonData": {"transactionId": TRANSACTION}, "TransactionId": TRANSACTION}, f"TransactionId={TRANSACTION}"),
        ({"TransactionId": TRANSACTION}, ""),
        ({"transactionId": TRANSACTION}, "TransactionId=ORD-5"),
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


@pytest.mark.parametrize("body", ["TransactionId=ORD-5", "<html>", "{", b"\xff", "--x\r\n"])
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
        (json.dumps({"TransactionId": TRANSACTION, "transactionId": OTHER}), ""),
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
        ({"commonData": {"transactionId": TRANSACTION}, "alertX": 1}, ""),
    ],
)
def test_id_is_found_although_another_place_holds_what_is_none(body: dict[str, Any], query: str) -> None:
    assert claimed(json.dumps(body), query).reference == TRANSACTION


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
    assert one.secured == (status == "authorised")
    assert not one.moneyless


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


def test_order_that_is_no_text_makes_the_response_unreadable() -> None:
    with pytest.raises(UnreadableError):
        read(OrderId="\ud800", AutoCommit="true", Amount="100", Currency="HUF")


ZERO: Final = ["0", 0, "0.00", 0.0, "0.000", "000", "0,00", "+0", "-0", -0.0, "0E-5", ".00", " 0 "]


@pytest.mark.parametrize("amount", ZERO)
@pytest.mark.parametrize("currency", ["HUF", None])
@pytest.mark.parametrize("words", [("true", ""), ("false", "PENDING"), ("false", "APPROVED"), (None, None)])
def test_success_with_amount_zero_is_a_verification_and_no_money(amount: Any, currency: Any, words: Any) -> None:
    one = read(Amount=amount, Currency=currency, AutoCommit=words[0], CommitState=words[1])
    assert (one.status, one.reason, one.moneyless) == ("unknown", "verification", True)
    assert (one.paid, one.secured, one.follow) == (None, False, None)


@pytest.mark.parametrize("amount", [None, "", " "])
@pytest.mark.parametrize("words", [("true", ""), ("false", "PENDING"), ("false", "APPROVED")])
def test_success_without_amount_is_held_where_no_details_are_allowed(amount: Any, words: Any) -> None:
    one = read(Amount=amount, Currency="HUF", AutoCommit=words[0], CommitState=words[1])
    assert (one.status, one.reason, one.moneyless) == ("unknown", "amount missing", False)
    assert (one.paid, one.secured) == (None, False)


def test_success_without_amount_is_left_to_its_details_where_they_are_allowed() -> None:
    shop = account("nevogate", recover_by_details=True)
    answer = {"TransactionId": TRANSACTION, "ResultCode": "SUCCESSFUL", "AutoCommit": "true"}
    assert NEVOGATE.interpret(response(json.dumps(answer)), shop).observations == ()
    (one,) = NEVOGATE.interpret(response(json.dumps({"CommonData": answer})), shop).observations
    assert (one.status, one.reason, one.moneyless, one.source) == ("unknown", "verification", True, "Details")
    (paid,) = NEVOGATE.interpret(
        response(json.dumps({"CommonData": {**answer, "Amount": "100", "Currency": "HUF"}})), shop
    ).observations
    assert (paid.status, paid.paid) == ("captured", Money(10000, "HUF"))


@pytest.mark.parametrize(
    ("code", "commit_state", "status", "moneyless"),
    [
        ("PENDING", "", "pending", True),
        ("OPEN", "", "pending", True),
        ("ERROR", "", "failed", False),
        ("CANCELED", "", "cancelled", False),
        ("TIMEOUT", "", "expired", False),
        ("SUCCESSFUL", "DECLINED", "cancelled", False),
    ],
)
def test_failure_with_amount_zero_is_still_told(code: str, commit_state: str, status: str, moneyless: bool) -> None:
    """A payment that failed may have been released before: its end must never get lost."""
    one = read(ResultCode=code, CommitState=commit_state, AutoCommit="false", Amount="0", Currency="HUF")
    assert (one.status, one.reason, one.moneyless) == (status, None, moneyless)


@pytest.mark.parametrize(("amount", "currency"), [("100.001", "HUF"), ("10.5", "JPY"), ("1,5", "EUR"), ("5", "Ft")])
@pytest.mark.parametrize("words", [("true", ""), ("false", "PENDING")])
def test_amount_that_cannot_be_read_keeps_the_status_and_secures_nothing(
    amount: str, currency: str, words: tuple[str, str]
) -> None:
    one = read(Amount=amount, Currency=currency, AutoCommit=words[0], CommitState=words[1])
    assert one.status == ("captured" if words[0] == "true" else "authorised")
    assert (one.amount, one.paid, one.secured, one.moneyless) == (None, None, False, False)


def test_words_of_no_closed_list_are_not_published() -> None:
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
def test_answer_that_says_nothing_of_a_payment_is_unreadable(answer: Any) -> None:
    with pytest.raises(UnreadableError):
        NEVOGATE.interpret(response(json.dumps(answer)), account("nevogate"))


def test_answer_about_another_transaction_is_unreadable() -> None:
    body = json.dumps({"ResultCode": "ERROR", "TransactionId": TRANSACTION}).encode()
    with pytest.raises(UnreadableError):
        NEVOGATE.interpret(ProviderResponse(body, "", 200, NOW, reference=OTHER), account("nevogate"))
