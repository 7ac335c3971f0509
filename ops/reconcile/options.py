"""Parses what an operator says of a reconciliation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from paynotify.ops.common.times import parse_duration_option, parse_time_option
from paynotify.ops.reconcile.compare import Period
from paynotify.schemas.errors import ConfigurationError

DEFAULT_SLACK: Final = "15m"
_MAX_SLACK: Final = timedelta(days=7)


def parse_period(start_text: str, end_text: str | None, slack_text: str) -> Period:
    """The period from a time to another one, or until now.

    Raises:
        ConfigurationError: a text is no time or duration, the period is empty, or the slack is too long.
    """
    now = datetime.now(UTC)
    start = parse_time_option("--from", start_text, now)
    end = parse_time_option("--to", end_text, now) or now
    assert start is not None, "a text was given"
    slack = parse_duration_option("--slack", slack_text)
    end = min(end, now)  # nothing can be missing from the future
    if start >= end:
        raise ConfigurationError("--from must be before --to and in the past; the period is empty.")
    if slack > _MAX_SLACK:
        raise ConfigurationError(f"--slack must be at most {_MAX_SLACK.days} days, got {slack_text!r}.")
    return Period(start=start, end=end, slack=slack, now=now)
