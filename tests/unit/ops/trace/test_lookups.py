"""Which lookups belong to a payment's story."""

from __future__ import annotations

import pytest

from paynotify.ops.trace.lookups import is_for
from paynotify.schemas import messages
from tests.fakes.stages import lookup, record


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"references": "t-1 t-2"}, True),
        ({"references": "r-1"}, True),
        ({"references": "t-10 t-3"}, False),
        ({"orderreference": "o-1"}, True),
        ({"orderreference": "o-2"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("merchant", ["shop", "other"])
def test_lookup_is_for_what_it_asks_for(merchant: str, arguments: dict[str, str], found: bool) -> None:
    asked = record(messages.encode(lookup(None, merchant, operation="transaction", arguments=arguments)))
    assert is_for(asked, "shop", {"t-1", "r-1"}, "o-1") == (found and merchant == "shop")


def test_record_without_a_lookup_is_for_nothing() -> None:
    assert not is_for(record(b"a dead-lettered response"), "shop", {"t-1"}, None)
