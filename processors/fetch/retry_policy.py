"""Decides when a failed lookup is retried: a pure function of the outcome, the attempts so far, and the policy.

Each retry topic has one fixed delay. So its records are in order of their due times, and the head of a partition is
always due first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from paynotify.processors.providers.base import Policy
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, RetryLater
from paynotify.schemas.reasons import DeadReason

#: A lookup that is held back waits no longer, so that few return to no purpose, and none much later than all can.
_MAX_HOLD_SECONDS: Final = 600.0


class HeldBack(msgspec.Struct, frozen=True, gc=False):
    """No call was made for the lookup, for all of its merchant's have failed for so long."""

    open_seconds: float


@dataclass(frozen=True, slots=True)
class ScheduledRetry:
    """Publish the lookup to the retry topic of ``step`` (1 has the shortest delay), where it waits until ``due``."""

    step: int
    due: datetime


def decide(
    outcome: RetryLater[DeadReason], *, tries: int, now: datetime, delays_seconds: Sequence[float], policy: Policy
) -> ScheduledRetry | Failed[DeadReason]:
    """The outcome of a lookup after ``tries`` attempts, this one included.

    The delay grows with the attempts up to the longest. If the provider asks for a longer pause (Retry-After), the
    first delay that is long enough is used. After the policy's last retry for the reason the lookup fails.
    """
    if tries > policy.retries.get(outcome.reason, 0):
        return Failed(outcome.reason, outcome.detail)
    step = min(tries, len(delays_seconds))
    pause_seconds = outcome.retry_after_seconds or 0.0
    while step < len(delays_seconds) and delays_seconds[step - 1] < pause_seconds:
        step += 1
    return ScheduledRetry(step, now + timedelta(seconds=delays_seconds[step - 1]))


def hold(
    *, open_seconds: float, held_since: datetime, now: datetime, delays_seconds: Sequence[float], policy: Policy
) -> ScheduledRetry | Failed[DeadReason]:
    """The outcome of a lookup that is held back, which is no attempt.

    It waits about as long as the provider has been away, so that an outage of hours does not keep the topics busy. It
    fails after as long as its retries would have taken.
    """
    retries = policy.retries.get("unavailable", 0)
    patience_seconds = sum(delays_seconds[min(number, len(delays_seconds)) - 1] for number in range(1, retries + 1))
    if (now - held_since).total_seconds() > patience_seconds:
        return Failed("unavailable", "the provider was away for longer than a lookup is retried")
    longest_seconds = min(open_seconds, _MAX_HOLD_SECONDS)
    step = max(1, sum(delay <= longest_seconds for delay in delays_seconds))
    return ScheduledRetry(step, now + timedelta(seconds=delays_seconds[step - 1]))


def is_outage(outcome: LookupOutcome) -> bool:
    """Whether no call came through, or no answer of the provider's own."""
    return isinstance(outcome, RetryLater) and outcome.reason == "unavailable"
