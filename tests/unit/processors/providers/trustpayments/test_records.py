"""A query's response: read at once where it is as documented, and element by element where it is not, alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.json_body import readable_object
from paynotify.processors.providers.trustpayments.records import (
    QueryResponse,
    TransactionRecord,
    _leniently,
    read_response,
)
from paynotify.schemas.errors import UnreadableError
from tests.fakes.gateway_records import answer, card, parsed, record

ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.lists(st.text(max_size=2)))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
RECORDS = st.dictionaries(
    st.sampled_from([*TransactionRecord.__struct_fields__, "maskedpan", "errormessage"]), st.one_of(TEXTS, TEXTS, ODD)
)


def read(body: bytes) -> QueryResponse:
    return read_response(body, UnreadableError)


@given(
    st.one_of(st.lists(st.one_of(RECORDS, RECORDS, ODD), max_size=4), ODD), st.dictionaries(TEXTS, ODD, max_size=3), ODD
)
def test_response_reads_alike_at_once_and_element_by_element(
    records: Any, more: dict[str, Any], reference: Any
) -> None:
    query = {"errorcode": "0", "records": records, **more}
    body = json.dumps({"requestreference": reference, "response": [query], **more}).encode()
    assert read(body) == _leniently(readable_object(body, UnreadableError))


@pytest.mark.parametrize("before", [b"", b" ", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("beside", [b"", b'"secrand": "\\ud800", ', b'"x": NaN, ', b'"x": 1e999, '])
def test_json_for_a_lenient_reader_only_is_read(before: bytes, beside: bytes) -> None:
    (one,) = (query.records for query in read(before + b"{" + beside + answer(card("100"))[1:]).response)
    assert one == [parsed(card("100"))]


@pytest.mark.parametrize("body", [b"{}", b'{"response": []}', b'{"response": [null]}', b'{"response": {}}'])
def test_response_without_a_query_has_none(body: bytes) -> None:
    assert read(body).query is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"response": ['])
def test_body_without_an_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body)


@pytest.mark.parametrize(("value", "text"), [("", ""), (None, ""), (1050, "1050"), ([], "?"), (True, "?"), (1.5, "?")])
def test_odd_settled_amount_is_not_taken_for_an_absent_one(value: object, text: str) -> None:
    assert parsed(record(settlebaseamount=value)).settlebaseamount == text
