"""When a lookup is tried again, and when no more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.fetch.retry_policy import ScheduledRetry, decide
from paynotify.processors.providers.base import Policy
from paynotify.processors.providers.outcomes import Failed, RetryLater
from paynotify.schemas.reasons import DeadReason
from tests.fakes.stages import NOW

DELAYS = (5.0, 30.0, 120.0, 600.0, 3600.0)
POLICY = Policy(retries={"unavailable": 24, "rate_limited": 3})


def decided(
    tries: int, *, patience_seconds: float | None = None, reason: DeadReason = "unavailable"
) -> ScheduledRetry | Failed[DeadReason]:
    later = RetryLater(reason, "down", patience_seconds)
    return decide(later, tries=tries, now=NOW, delays_seconds=DELAYS, policy=POLICY)


@pytest.mark.parametrize(("tries", "step"), [(1, 1), (2, 2), (5, 5), (6, 5), (24, 5)])
def test_wait_grows_and_stays_at_the_longest(tries: int, step: int) -> None:
    assert decided(tries) == ScheduledRetry(step, NOW + timedelta(seconds=DELAYS[step - 1]))


def test_used_up_tries_are_the_end() -> None:
    assert decided(25) == Failed("unavailable", "down")
    assert decided(4, reason="rate_limited") == Failed("rate_limited", "down")


def test_reason_without_tries_is_the_end_at_once() -> None:
    assert decided(1, reason="not_found") == Failed("not_found", "down")


@pytest.mark.parametrize(("patience_seconds", "step"), [(4, 1), (6, 2), (601, 5), (86_400, 5), (0, 1)])
def test_provider_that_asks_for_patience_gets_it(patience_seconds: float, step: int) -> None:
    decision = decided(1, patience_seconds=patience_seconds)
    assert isinstance(decision, ScheduledRetry)
    assert decision.step == step


@given(st.integers(1, 24), st.floats(0, 3600))
def test_retry_is_never_earlier_than_asked_and_its_step_exists(tries: int, patience_seconds: float) -> None:
    decision = decided(tries, patience_seconds=patience_seconds)
    assert isinstance(decision, ScheduledRetry)
    assert 1 <= decision.step <= len(DELAYS)
    assert decision.due >= NOW + timedelta(seconds=patience_seconds)
