"""What a payment's story adds to the sentence about it."""

from __future__ import annotations

import pytest

from paynotify.ops.console.payments.story import is_answered
from paynotify.ops.trace.timeline import Timeline, TimelineEntry


@pytest.mark.parametrize(
    ("kinds", "answered"),
    [
        ((), False),
        (("lookup", "dead"), False),
        (("lookup", "answer", "lookup", "dead"), False),
        (("lookup", "dead", "lookup", "answer", "observation"), True),
        (("lookup", "dead", "lookup", "retry"), False),
        (("notification", "lookup", "answer", "observation", "status"), True),
    ],
)
def test_dead_letter_counts_until_the_provider_answers(kinds: tuple[str, ...], answered: bool) -> None:
    entries = tuple(
        TimelineEntry(at=f"2026-11-29T10:00:{at:02}.000Z", kind=kind, what="", topic="t", partition=0, offset=at)
        for at, kind in enumerate(kinds)
    )
    story = Timeline(
        provider="trustpayments",
        merchant="shop-uk",
        payment_id="57-9-1",
        status=None,
        order_id=None,
        searched_from=None,
        notes=(),
        entries=entries,
    )
    assert is_answered(story) is answered
