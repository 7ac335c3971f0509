"""When a lookup that failed is tried again: a pure function of what happened, how often, and the policy.

Each retry topic has one fixed delay, so its records are in order of their due time and the head of a partition is
always the next one due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from processors.providers.base import Policy
from processors.providers.outcomes import Failed, RetryLater
from schemas.reasons import DeadReason


@dataclass(frozen=True, slots=True)
class ScheduledRetry:
    """Put the lookup on the retry topic of ``step`` (1 is the shortest delay) until ``due``."""

    step: int
    due: datetime


def decide(
    outcome: RetryLater[DeadReason], *, tries: int, now: datetime, delays_seconds: Sequence[float], policy: Policy
) -> ScheduledRetry | Failed[DeadReason]:
    """What becomes of a lookup after ``tries`` tries, this one included.

    The wait grows with the tries and stays at the longest; a provider that asks for more patience gets the first
    delay that is long enough. When the policy's tries for the reason are used up, the lookup is dead.
    """
    if tries > policy.retries.get(outcome.reason, 0):
        return Failed(outcome.reason, outcome.detail)
    step = min(tries, len(delays_seconds))
    patience_seconds = outcome.retry_after_seconds or 0.0
    while step < len(delays_seconds) and delays_seconds[step - 1] < patience_seconds:
        step += 1
    return ScheduledRetry(step, now + timedelta(seconds=delays_seconds[step - 1]))
