"""Which strings can be written as UTF-8."""

from __future__ import annotations

import pytest

from paynotify.schemas.text import is_text


@pytest.mark.parametrize("text", ["", "ORD-1", "Ő", "\0", "\U0001f600"])
def test_unicode_text_can_be_written(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize("text", ["\ud800", "ORD-\udfff"])
def test_half_of_a_surrogate_pair_cannot_be_written(text: str) -> None:
    assert not is_text(text)
