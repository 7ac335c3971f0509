"""Times and durations as an operator gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from paynotify.ops.common.times import parse_duration_option, parse_time_option, parse_window
from paynotify.schemas.errors import ConfigurationError


def test_time_is_an_instant_or_an_age() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert parse_time_option("--since", "24h", now) == now - timedelta(hours=24)
    assert parse_time_option("--since", "2026-11-23T01:00:00+01:00", now) == now
    assert parse_time_option("--since", None) is None


@pytest.mark.parametrize("text", ["yesterday", "2026-11-23T00:00:00", "-1h", "5w", ""])
def test_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--since must be an RFC 3339 time"):
        parse_time_option("--since", text)


@pytest.mark.parametrize("text", ["999999d", "30000d", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_time_near_the_ends_of_the_calendar_is_refused(text: str) -> None:
    """The tools read from an hour or a day before it, or up to some minutes after it."""
    with pytest.raises(ConfigurationError, match=r"--since must be a time between 1970 and 9000"):
        parse_time_option("--since", text)


def test_window_must_not_be_empty() -> None:
    with pytest.raises(ConfigurationError, match="--since must be before --until"):
        parse_window("1h", "2h")


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1w", "1.5h"])
def test_duration_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--slack must be a duration"):
        parse_duration_option("--slack", text)
