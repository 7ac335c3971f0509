"""Where a call may have its transaction's id: JSON, a form, multipart or the query, in both spellings."""

from __future__ import annotations

import json
from typing import Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.nevogate.call_content import content_of
from paynotify.processors.providers.nevogate.contract import CONTRACT
from tests.fakes.accounts import TRANSACTION, notification

OTHER: Final = "0" * 32
THIRD: Final = "f" * 32
SPELLINGS: Final = [
    "TransactionId",
    "transactionId",
    "commonData[transactionId]",
    "commonData[TransactionId]",
    "CommonData[transactionId]",
    "CommonData[TransactionId]",
]


def as_json(name: str) -> bytes:
    outer, _, inner = name.rstrip("]").partition("[")
    return json.dumps({outer: {inner: TRANSACTION} if inner else TRANSACTION, "resultCode": "SUCCESSFUL"}).encode()


def as_form(name: str) -> bytes:
    return httpx.Request("POST", "https://x", data={"resultCode": "OK", name: TRANSACTION, "z": "1"}).read()


def as_raw_form(name: str) -> bytes:
    return f"{name}={TRANSACTION}".encode()


def as_multipart(name: str) -> bytes:
    parts = [("resultCode", (None, "OK")), (name, (None, TRANSACTION)), ("z", (None, "1"))]
    return httpx.Request("POST", "https://x", files=parts).read()


def as_typed_multipart(name: str) -> bytes:
    parts = [(name, (None, TRANSACTION, "text/plain; charset=utf-8"))]
    return httpx.Request("POST", "https://x", files=parts).read()


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("body_of", [as_json, as_form, as_raw_form, as_multipart, as_typed_multipart])
def test_id_is_found_in_every_spelling_and_form(name: str, body_of: object) -> None:
    assert callable(body_of)
    body = body_of(name)
    assert content_of(notification("nevogate", body)).transaction == TRANSACTION
    assert CONTRACT.route.key("shop", b"", body) == b"shop/" + TRANSACTION.encode(), "the ingress finds it too"


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("quoted", [False, True])
def test_id_is_found_in_the_query_in_every_spelling(name: str, quoted: bool) -> None:
    name = name.replace("[", "%5B").replace("]", "%5d") if quoted else name
    query = f"shop=1&{name}={TRANSACTION}"
    assert content_of(notification("nevogate", "", query=query, method="GET")).transaction == TRANSACTION
    assert CONTRACT.route.key("shop", query.encode(), b"") == b"shop/" + TRANSACTION.encode()


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"commonData": {"transactionId": TRANSACTION}, "TransactionId": OTHER}, f"TransactionId={OTHER}"),
        ({"commonData": {"transactionId": "ORD-5"}, "TransactionId": TRANSACTION}, f"TransactionId={OTHER}"),
        ({"TransactionId": OTHER, "transactionId": THIRD}, f"TransactionId={TRANSACTION}"),
        ({"commonData": {"transactionId": OTHER, "TransactionId": THIRD}, "TransactionId": TRANSACTION}, ""),
    ],
)
def test_first_place_with_one_id_counts_and_a_second_costs_nothing(body: dict[str, object], query: str) -> None:
    assert content_of(notification("nevogate", json.dumps(body), query=query)).transaction == TRANSACTION


@given(st.permutations([("TransactionId", TRANSACTION), ("transactionId", OTHER), ("TransactionId", "ORD-5")]))
def test_place_with_different_ids_names_none(pairs: list[tuple[str, str]]) -> None:
    body = "&".join(f"{name}={value}" for name, value in pairs)
    assert content_of(notification("nevogate", body)).transaction is None


def test_body_of_a_get_is_not_read() -> None:
    call = notification("nevogate", as_json("TransactionId"), method="GET", query=f"TransactionId={OTHER}")
    assert content_of(call).transaction == OTHER


@pytest.mark.parametrize(
    "name", ["xTransactionId", "TransactionIdx", "other[TransactionId]", "transactionid", "Transaction"]
)
def test_field_of_another_name_is_no_id(name: str) -> None:
    for body in (as_json(name), as_form(name), as_multipart(name)):
        assert content_of(notification("nevogate", body)).transaction is None


@pytest.mark.parametrize(
    "name", [b'"\\ud800"', b'"\xe1rv\xedz"', b'"\xed\xa0\x80"', b"NaN", b"1" * 5000, b"[" * 500 + b"]" * 500]
)
def test_odd_value_beside_the_id_does_not_hide_it(name: bytes) -> None:
    body = b'{"customer": ' + name + b', "commonData": {"transactionId": "' + TRANSACTION.encode() + b'"}}'
    assert content_of(notification("nevogate", body)).transaction == TRANSACTION


def test_long_form_is_read_up_to_its_thousandth_field() -> None:
    for before, found in ((999, TRANSACTION), (1000, None)):
        body = f"{'a=b&' * before}TransactionId={TRANSACTION}"
        assert content_of(notification("nevogate", body)).transaction == found
