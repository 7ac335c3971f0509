"""The fields of a multipart body: those that a sender wrote, whatever else a caller invents."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.multipart import multipart_fields

NAMES = st.text("abcXYZ[]._-", min_size=1, max_size=20)
VALUES = st.text("abc0-\n=&; é", max_size=30)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5, unique_by=lambda one: one[0]))
def test_fields_are_those_a_client_sends(pairs: list[tuple[str, str]]) -> None:
    files = [(name, (None, value)) for name, value in pairs]
    body = httpx.Request("POST", "https://shop.example", files=files).read() if files else b""
    assert multipart_fields(body) == [(name.encode(), value.encode()) for name, value in pairs]


def test_name_may_stand_among_other_parameters_and_headers() -> None:
    body = (
        b'--b\r\nContent-Type: text/plain\r\ncontent-disposition: FORM-DATA; filename="n"; name="a"\r\n\r\n1\r\n'
        b"--b\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--b\r\nno head\r\n--b--\r\n"
    )
    assert multipart_fields(body) == [(b"a", b"1")]


@pytest.mark.parametrize("body", [b"", b"--", b"--\r\n", b"a=b", b"--" + b"x" * 80 + b"\r\n", b"--b", b"\r\n--b\r\n"])
def test_body_without_a_part_has_no_fields(body: bytes) -> None:
    assert multipart_fields(body) == []


def test_parts_beyond_the_limit_are_not_read() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    assert len(multipart_fields(part * 5000 + b"--b--")) == 200


@given(st.binary(max_size=300))
def test_reading_raises_nothing(rest: bytes) -> None:
    for body in (rest, b"--b\r\n" + rest, quote_from_bytes(rest).encode()):
        assert all(name and isinstance(value, bytes) for name, value in multipart_fields(body))
