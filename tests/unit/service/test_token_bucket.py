"""The token bucket: bounded by its burst and by what it earned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paynotify.service.token_bucket import refill, take

RATE_PER_SECOND, BURST = 2.0, 5.0


@given(st.lists(st.floats(-5, 20), max_size=60))
def test_take_never_exceeds_burst_and_earnings_in_any_period(waits: list[float]) -> None:
    tokens, at_seconds, now_seconds, newest = BURST, 0.0, 0.0, 0.0
    moments = []
    for wait in waits:
        now_seconds = max(0.0, now_seconds + wait)  # a wall clock may go back
        newest = max(newest, now_seconds)
        ok, tokens, at_seconds = take(tokens, at_seconds, now_seconds, RATE_PER_SECOND, BURST)
        assert (0 <= tokens <= BURST, at_seconds) == (True, newest)
        moments += [newest] * ok
    for first, start in enumerate(moments):
        for count, end in enumerate(moments[first:], 1):
            assert count <= BURST + (end - start) * RATE_PER_SECOND + 1e-6


def test_take_refuses_less_than_a_whole_token() -> None:
    assert take(0.5, 10.0, 10.2, RATE_PER_SECOND, BURST)[0] is False
    assert take(0.5, 10.0, 10.25, RATE_PER_SECOND, BURST) == (True, 0.0, 10.25)


def test_refill_pays_off_a_debt_before_it_saves() -> None:
    assert refill(-4.0, 0.0, 1.0, RATE_PER_SECOND, BURST) == -2.0
    assert refill(-4.0, 0.0, 99.0, RATE_PER_SECOND, BURST) == BURST


def test_refill_ignores_a_clock_that_goes_back() -> None:
    assert refill(3.0, 10.0, 5.0, RATE_PER_SECOND, BURST) == 3.0
