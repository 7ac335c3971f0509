"""Card numbers are found in every form in which people write them, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paynotify.schemas.providers import id_fields, provider_contracts
from paynotify.service.card_numbers import CardNumbers, header, is_card_number
from tests.fuzz.genuine import FORM, ORDER_ANSWER, PAGE, PING, RECORD

VECTORS: Final = Path(__file__).parents[2] / "vectors"
NUMBERS: Final = CardNumbers(id_fields())

#: Test numbers that the card schemes publish.
CARDS: Final = (
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "36227206271667",
    "3530111333300000",
    "6011111111111117",
    "6205500000000000004",
    "6759649826438453",
)


def groups(card: str, separator: str) -> str:
    sizes = {14: (4, 6, 4), 15: (4, 6, 5)}.get(len(card), (4, 4, 4, 4, 3))
    parts, rest = [], card
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    return separator.join(part for part in parts if part)


def masked(text: str) -> str:
    found = NUMBERS.masked(text.encode())
    return text if found is None else found.text.decode()


@pytest.mark.parametrize("card", CARDS)
def test_card_number_is_found_in_every_form(card: str) -> None:
    for separator in ("", " ", "-", ".", "+", "%20"):
        number = groups(card, separator)
        for before, after in (
            ("", ""),
            ("note=", "&x=1"),
            ('{"note": "', '"}'),
            ('{"note": "card ', ' 12/27"}'),
            ("<pan>", "</pan>"),
            ("note=pan%3A", "%0A"),
            ('{"note": "two\\n', '\\n"}'),
        ):
            assert masked(before + number + after) == before + "X" * len(number) + after


def test_security_code_after_a_number_is_no_part_of_it() -> None:
    assert masked("4111 1111 1111 1111 123") == "XXXXXXXXXXXXXXXXXXX 123"


def test_every_card_number_of_a_text_is_masked_and_counted() -> None:
    text = " and ".join(CARDS).encode()
    found = NUMBERS.masked(text)
    assert found is not None
    assert (found.cards, len(found.text)) == (len(CARDS), len(text))
    assert not any(card.encode() in found.text for card in CARDS)
    assert header(found.cards) == ("masked-card-numbers", b"13")


def test_json_number_stays_a_number_of_the_same_length() -> None:
    assert masked('{"a": 4111111111111111, "b": [5555555555554444]}') == (
        '{"a": 1000000000000000, "b": [1000000000000000]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # a wrong check digit
        "9111111111111111",  # no issuer
        "41111111111111111111",  # too long
        "ORD-4111111111111111",
        "ORD_4111111111111111",
        "INV/2026/4111111111111111",
        "https://shop.example/orders/4111111111111111",
        "path=orders%2F4111111111111111",
        "4111111111111111-2",
        "0.4111111111111111",
        "4111111111111111.50",
        "550e8400-4111-1111-1111-111111111111",
        "DE89 3704 0044 0532 0130 00",
        "a4111111111111111",
        "4111111111111111f",
        "1700000000000",  # Unix time in milliseconds
        "2026-11-23 09:00:01.123456",
        "20261123090001123",
        "411111######1111",
        "411111XXXXXX1111",
    ],
)
def test_other_digits_stay(text: str) -> None:
    assert masked(text) == text
    assert masked(f'{{"x": "{text}"}}') == f'{{"x": "{text}"}}'


@pytest.mark.parametrize(
    "text",
    [
        "orderreference={}&x=1",
        "x=1&OrderReference={}",
        '{{"merchantOrderId": "{}"}}',
        '{{"OrderId":{}}}',
        '{{"order_id":"{}"}}',
        'content-disposition: form-data; name="OrderId"\r\n\r\n{}\r\n--',
    ],
)
def test_value_of_an_id_field_stays_whatever_it_looks_like(text: str) -> None:
    whole = text.format(CARDS[0])
    assert masked(whole) == whole
    for name in ("orderreference", "OrderReference", "merchantOrderId", "OrderId", "order_id"):
        whole = whole.replace(name, "remarks")
    assert CARDS[0] not in masked(whole)


def test_fields_with_ids_are_declared_for_each_provider() -> None:
    assert all(contract.id_fields for contract in provider_contracts().values())


def texts(data: Any) -> Iterator[str]:
    """Each text of a document by itself, and each part of it as it would be sent."""
    if isinstance(data, str):
        yield data
        return
    yield json.dumps(data)
    for one in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from texts(one)


@pytest.mark.parametrize("file", sorted(VECTORS.glob("*.json")), ids=lambda file: file.stem)
def test_bodies_of_providers_stay(file: Path) -> None:
    for text in texts(json.loads(file.read_text("utf-8"))):
        assert masked(text) == text


order_numbers = st.one_of(
    st.from_regex(r"[A-Z]{2,4}-?[0-9]{8,18}", fullmatch=True),
    st.from_regex(r"20[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9])[0-9]{5,11}", fullmatch=True).filter(lambda one: one < "2221"),
    st.integers(0, 10**12 - 1).map(str),
    st.from_regex(r"[0-9]{4}-[0-9]{6}-[0-9]{2}", fullmatch=True),
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.datetimes().map(lambda one: one.isoformat()),
    st.integers(10**12, 2 * 10**12).map(str),  # Unix time in milliseconds until 2033
)


@given(order=order_numbers, field=st.sampled_from(["remarks", "customfield1", "sku", "x-id"]))
def test_order_numbers_references_and_ids_stay_in_any_field(order: str, field: str) -> None:
    for text in (
        json.dumps({**PING, field: order}),
        json.dumps({**PAGE, field: {"value": order, "more": [order]}}),
        json.dumps({**RECORD, field: order, **ORDER_ANSWER}),
        "&".join(f"{name}={quote_plus(value)}" for name, value in {**FORM, field: order}.items()),
    ):
        assert masked(text) == text


@given(order=st.integers(10**12, 10**19 - 1).map(str))
@example(CARDS[0])
def test_order_of_digits_alone_stays_in_the_fields_of_orders(order: str) -> None:
    for text in (
        json.dumps({"orderResults": [{**PAGE["orderResults"][0], "merchantOrderId": order}]}),
        json.dumps({**RECORD, "orderreference": order}),
        "&".join(f"{name}={quote_plus(value)}" for name, value in {**FORM, "orderreference": order}.items()),
    ):
        assert masked(text) == text


@given(st.binary(max_size=400))
@example(b"4111111111111111" * 3)
@example(b'{"x":"4111111111111111","x":"4111 1111 1111 1111"}')
def test_masked_text_has_the_same_length_and_no_number_left(text: bytes) -> None:
    found = NUMBERS.masked(text)
    if found is not None:
        assert len(found.text) == len(text)
        assert NUMBERS.masked(found.text) is None


@given(st.text(alphabet="0123456789", min_size=12, max_size=18).map(str.encode))
def test_exactly_one_check_digit_is_right(beginning: bytes) -> None:
    """By the definition of Luhn's formula, computed in another way."""
    valid = [digit for digit in b"0123456789" if is_card_number(b"4" + beginning[1:] + bytes([digit]))]
    total = 0
    for place, digit in enumerate(reversed((b"4" + beginning[1:]).decode())):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    expected = [ord(str(-total % 10))] if len(beginning) + 1 in (13, 16, 19) else []
    assert valid == expected
