"""The daily looks at payments that are not settled: each day once, at the merchant's hour, until the last day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.daily_looks import DailyLooks, daily_looks
from paynotify.schemas.times import parse_time
from tests.fakes.accounts import account

BUDAPEST: Final = DailyLooks(8, ZoneInfo("Europe/Budapest"))
FIRST: Final = date(2026, 3, 28)


@pytest.mark.parametrize(
    ("observed_at", "due"),
    [
        (datetime(2026, 3, 27, 9, tzinfo=UTC), "2026-03-28T07:00:00.000Z"),
        (datetime(2026, 3, 28, 6, 59, 59, tzinfo=UTC), "2026-03-28T07:00:00.000Z"),
        (datetime(2026, 3, 28, 7, tzinfo=UTC), "2026-03-29T06:00:00.000Z"),  # and the clocks go forward in that night
        (datetime(2026, 3, 29, 22, 30, tzinfo=UTC), "2026-03-30T06:00:00.000Z"),
        (datetime(2026, 4, 4, 6, tzinfo=UTC), None),
    ],
)
def test_next_look_is_the_next_morning_of_the_merchant(observed_at: datetime, due: str | None) -> None:
    follow = BUDAPEST.follow("t-1", first=FIRST, last=date(2026, 4, 4), observed_at=observed_at)
    assert follow.due == due
    assert follow.settles_by == "2026-03-28T07:00:00.000Z"
    assert follow.until == "2026-04-04T06:00:00.000Z"


@given(st.integers(0, 23), st.integers(0, 40), st.integers(0, 3000))
def test_look_is_after_its_observation_and_within_a_day_of_it(hour: int, days: int, minutes: int) -> None:
    observed = datetime(2026, 3, 27, tzinfo=UTC) + timedelta(minutes=minutes)
    follow = DailyLooks(hour, ZoneInfo("Europe/Budapest")).follow(
        "t-1", first=FIRST, last=FIRST + timedelta(days=days), observed_at=observed
    )
    due, until, first = (parse_time(text or "") for text in (follow.due, follow.until, follow.settles_by))
    assert until is not None
    assert first is not None
    if due is None:
        assert observed >= until
    else:
        assert observed < due <= max(first, observed + timedelta(hours=25))


def test_hour_is_the_gateways_unless_the_merchant_says_otherwise() -> None:
    assert daily_looks(account("nevogate").merchant) == DailyLooks(8, UTC)
    looks = daily_looks(account("nevogate", settlement_check_hour=6, time_zone="Europe/Budapest").merchant)
    assert looks == DailyLooks(6, ZoneInfo("Europe/Budapest"))


@pytest.mark.parametrize("name", ["Europe/Pest", "", "../etc/passwd", "Europe", "x" * 300, "/etc"])
def test_time_zone_without_a_clock_is_refused(name: str) -> None:
    with pytest.raises(Exception, match="time_zone must be a name"):
        account("nevogate", time_zone=name)


@pytest.mark.parametrize(
    ("seconds", "due"), [(-30, "30:10"), (9, "30:10"), (10, "30:18"), (25, "30:26"), (73, "31:14"), (74, None)]
)
def test_looks_of_a_simulated_provider_follow_its_short_days(seconds: int, due: str | None) -> None:
    began = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    days = {"starts_at": "2026-11-22T11:30:00+01:00", "seconds": 8}
    looks = daily_looks(account("nevogate", settlement_check_hour=6, short_days=days).merchant)
    observed_at = began + timedelta(seconds=seconds)
    follow = looks.follow("t-1", first=date(2026, 11, 23), last=date(2026, 12, 1), observed_at=observed_at)
    assert follow.due == (f"2026-11-22T10:{due}.000Z" if due else None)
    assert follow.settles_by == "2026-11-22T10:30:10.000Z"
    assert follow.until == "2026-11-22T10:31:14.000Z"
