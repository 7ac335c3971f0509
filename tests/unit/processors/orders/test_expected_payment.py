"""The parser of expected payments."""

from __future__ import annotations

from typing import Any

import pytest

from paynotify.processors.orders.expected_payment import parse_expected
from paynotify.schemas.errors import UnreadableError
from tests.fakes.expected_payments import WRONG, written


@pytest.mark.parametrize("change", WRONG)
def test_refusal_names_the_field_and_never_its_value(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_expected(written(**change))
    (name,) = change
    assert name in str(caught.value)
